/**
 * HAProxy's configuration, written once; later only when slots run out. Pure.
 *
 * Health checks take their path from a map by the backend's name, or by the server's where its group has another,
 * so that another path needs no reload. A request is matched by `host/path/` against a map of prefixes, of which the longest wins.
 *
 * After a reload the old worker still holds kept connections, takes no commands for its servers any more, and says
 * of every backend that nothing in it is usable. So whatever a kept connection brings it then goes, with the client's
 * address, over a Unix socket to the worker that took over: every change is in force for every new request.
 */
import { HTML_TYPE, htmlBody, JSON_TYPE, jsonBody, PAGES, type Page } from '../built-in/pages.ts';
import type { Slot } from './slots.ts';

export interface ConfigurationInput {
  readonly listen: { readonly host: string; readonly port: number };
  readonly files: ConfigurationFiles;
  readonly slots: readonly Slot[];
  /** Names this configuration, so that a driver knows whether the running one is its own. */
  readonly identity: string;
  /** Servers at the time of writing, by backend: what a reload starts with. */
  readonly servers: ReadonlyMap<string, readonly ConfiguredServer[]>;
  readonly forwardedPort: number;
}

interface ConfigurationFiles {
  readonly statsSocket: string;
  /** Where the worker in charge takes what an old one passes on. */
  readonly workerSocket: string;
  readonly routesMap: string;
  readonly healthMap: string;
  readonly ownHealthMap: string;
  readonly holdMap: string;
  readonly probeSecret: string;
  readonly luaScript: string;
  readonly serverState: string;
}

export interface ConfiguredServer {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly intervalMs: number;
}

/** Seconds that an old worker may finish what it has after a reload. */
const HARD_STOP_AFTER_S = 300;

export function configurationText(input: ConfigurationInput): string {
  return [
    ...globalSection(input),
    ...defaultsSection(),
    ...frontendSection(input),
    ...input.slots.flatMap((slot) =>
      backendSection(slot, input.servers.get(slot.backend) ?? [], input.files),
    ),
    '',
  ].join('\n');
}

function globalSection({ files, identity }: ConfigurationInput): string[] {
  return [
    '# Written by Kiln; what changes is changed through the runtime socket and kept in the maps beside this file.',
    'global',
    `  setenv KILN_CONFIGURATION ${identity}`,
    `  stats socket unix@${files.statsSocket} mode 600 level admin expose-fd listeners`,
    '  stats timeout 1h',
    `  hard-stop-after ${HARD_STOP_AFTER_S}s`,
    `  server-state-file ${files.serverState}`,
    // A port that another process has must be an error, not shared with it.
    '  noreuseport',
    '  tune.maxrewrite 4096',
    '  tune.bufsize 36864',
    '  tune.http.maxhdr 128',
    `  lua-load ${files.luaScript}`,
    '',
  ];
}

function defaultsSection(): string[] {
  return [
    'defaults',
    '  mode http',
    '  load-server-state-from-file global',
    '  option http-keep-alive',
    '  option splice-auto',
    '  option abortonclose',
    // A kept connection is closed with its next answer after a reload, never between two requests.
    '  option idle-close-on-response',
    '  option redispatch 1',
    '  retries 3',
    '  retry-on conn-failure empty-response',
    '  timeout connect 3s',
    '  timeout client 60s',
    '  timeout server 300s',
    '  timeout http-request 30s',
    '  timeout http-keep-alive 75s',
    '  timeout tunnel 24h',
    '  timeout client-fin 30s',
    ...errorPage({ status: 400, code: 'router.bad-request', sentence: 'The request was refused.' }),
    ...errorPage(PAGES.slowClient),
    ...errorPage(PAGES.fault),
    ...errorPage(PAGES.brokenAnswer),
    ...errorPage(PAGES.noInstance),
    ...errorPage(PAGES.silent),
    '',
  ];
}

function frontendSection({ listen, files, forwardedPort }: ConfigurationInput): string[] {
  return [
    'frontend kiln',
    `  bind ${listen.host === '' ? '*' : listen.host}:${listen.port} backlog 4096`,
    `  bind unix@${files.workerSocket} mode 600 accept-proxy`,
    // As it came, to the worker in charge, which does all that follows.
    '  acl passed-on stopping',
    '  http-request allow if passed-on',
    '  use_backend kiln-worker-in-charge if passed-on',
    // Appended to what came, so that only the last entry can be trusted.
    '  http-request add-header X-Forwarded-For %[src]',
    '  http-request return status 405 content-type text/plain string "CONNECT is not served here.\\n" if METH_CONNECT',
    // Only h1 without surprises: upgrades other than WebSocket's would run past what is checked here.
    '  http-request del-header upgrade if !{ req.hdr(upgrade) -i -m str websocket }',
    '  http-request deny deny_status 400 if { req.hdr_cnt(host) gt 1 }',
    `  http-request deny deny_status 400 if { req.hdr(host) -m found } !{ req.hdr(host) -m reg '^[A-Za-z0-9_.:~%[\\]-]*$' }`,
    '  http-request set-var(txn.host) req.hdr(host),host_only,lower,regsub(\\.$,)',
    '  http-request set-var-fmt(txn.key) %[var(txn.host)]%[path]/',
    `  http-request set-var(txn.slot) var(txn.key),map_beg(${files.routesMap})`,
    `  http-request set-var(txn.probe) bool(true) if { req.hdr(x-kiln-probe) -m str -f ${files.probeSecret} }`,
    '  http-request lua.kiln_hop if { req.hdr(connection) -m found }',
    '  http-request del-header x-kiln-probe',
    '  http-request del-header forwarded',
    '  http-request del-header proxy-authorization',
    '  http-request set-header X-Forwarded-Host %[req.hdr(host)]',
    '  http-request set-header X-Forwarded-Proto http',
    `  http-request set-header X-Forwarded-Port ${forwardedPort}`,
    // Nothing that may have changed something is ever sent twice; before it was sent, anything may go elsewhere.
    '  http-request disable-l7-retry unless METH_GET or { method HEAD OPTIONS }',
    ...ownPage(PAGES.noRoute, '!{ var(txn.slot) -m found }'),
    `  http-request set-var(txn.hold) var(txn.slot),map(${files.holdMap},0)`,
    '  http-request lua.kiln_hold if { var(txn.slot),nbsrv eq 0 }',
    ...ownPage(PAGES.noInstance, '{ var(txn.slot),nbsrv eq 0 }'),
    '  http-response del-header x-kiln-instance unless passed-on',
    '  http-response set-header X-Kiln-Instance %[srv_name,regsub(:[0-9]+$,)] if { var(txn.probe) -m bool }',
    '  use_backend %[var(txn.slot)]',
    '',
    'backend kiln-worker-in-charge',
    `  server next unix@${files.workerSocket} send-proxy`,
    '',
  ];
}

function backendSection(
  slot: Slot,
  servers: readonly ConfiguredServer[],
  files: ConfigurationFiles,
): string[] {
  return [
    `backend ${slot.backend}`,
    '  balance roundrobin',
    '  option httpchk',
    `  timeout check ${slot.checkTimeoutMs}ms`,
    `  http-check set-var(check.path) be_name,map(${files.healthMap},/)`,
    // Sets nothing where the server has none.
    `  http-check set-var(check.path) srv_name,map(${files.ownHealthMap})`,
    `  http-check send meth GET uri-lf "%[var(check.path)]" ver HTTP/1.1 hdr Host localhost hdr User-Agent kiln-health hdr Connection close`,
    '  http-check expect rstatus ^[23]',
    ...servers.map((server) => `  server ${server.name} ${server.address} ${serverOptions(server)}`),
    '',
  ];
}

/**
 * A server that is added at run time keeps no idle connections unless it is told how many, which halves its speed.
 * Checked often until it is known to be up or down; taken out at once when a connection is refused.
 */
export function serverOptions(server: Pick<ConfiguredServer, 'weight' | 'intervalMs'>): string {
  const interMs = Math.max(1, Math.round(server.intervalMs));
  return `weight ${server.weight} check inter ${interMs}ms fastinter ${Math.min(25, interMs)}ms downinter ${Math.min(50, interMs)}ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down pool-max-conn 512 pool-purge-delay 1s`;
}

/** For failures of HAProxy itself: always the same text, since it does not look at what the client accepts. */
function errorPage(page: Page): string[] {
  return [
    `  http-error status ${page.status} content-type ${quoted(HTML_TYPE)} string ${quoted(htmlBody(page))} ${pageHeaders(page)}`,
  ];
}

function ownPage(page: Page, condition: string): string[] {
  const shape = (type: string, body: string) =>
    `  http-request return status ${page.status} content-type ${quoted(type)} string ${quoted(body)} ${pageHeaders(page)} if ${condition}`;
  return [
    `${shape(JSON_TYPE, jsonBody(page))} { req.hdr(accept) -m sub json }`,
    shape(HTML_TYPE, htmlBody(page)),
  ];
}

function pageHeaders(page: Page): string {
  const retry = page.status === 503 ? ' hdr Retry-After 1' : '';
  return `hdr Cache-Control no-store hdr X-Kiln-Reason ${page.code}${retry}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('$', '\\$')}"`;
}

/**
 * What HAProxy 2.6 has no rule for. `kiln_hold` lets a request wait for the first usable server of its backend; it
 * only runs while there is none. `kiln_hop` removes the headers that `Connection` names.
 */
export function luaScript(startupHoldMs: number): string {
  return `local startup_ends
core.register_init(function() startup_ends = core.now().sec + ${Math.ceil(startupHoldMs / 1000)} end)

core.register_action("kiln_hold", {"http-req"}, function(txn)
  local slot = txn:get_var("txn.slot")
  local hold_ms = tonumber(txn:get_var("txn.hold")) or 0
  if core.now().sec < startup_ends and hold_ms < ${startupHoldMs} then hold_ms = ${startupHoldMs} end
  local waited_ms = 0
  while waited_ms < hold_ms and txn.c:nbsrv(slot) == 0 do
    core.msleep(10)
    waited_ms = waited_ms + 10
  end
end)

local kept = {
  ["close"] = true, ["keep-alive"] = true, ["upgrade"] = true, ["te"] = true, ["host"] = true,
  ["content-length"] = true, ["transfer-encoding"] = true, ["content-type"] = true, ["authorization"] = true,
  ["cookie"] = true, ["cache-control"] = true, ["origin"] = true,
}

core.register_action("kiln_hop", {"http-req"}, function(txn)
  local connection = txn.http:req_get_headers()["connection"]
  if connection == nil then return end
  for _, value in pairs(connection) do
    for name in string.gmatch(string.lower(value), "[^,%s]+") do
      if not kept[name] then txn.http:req_del_header(name) end
    end
  end
end)
`;
}
