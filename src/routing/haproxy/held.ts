/** What HAProxy says it holds: its tables of servers and processes, read. Pure. */

export interface HeldServer {
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  /** Running as far as checks and traffic say. */
  readonly isRunning: boolean;
  /** Its last check passed; false also before the first one, and while any other is under way. */
  readonly hasPassed: boolean;
  /** Taken out by command, and kept only because it cannot be deleted (yet). */
  readonly isParked: boolean;
  /** Gets no new requests by command: not admitted yet, or draining. */
  readonly isDrained: boolean;
  readonly weight: number;
  readonly sessions: number;
}

const RUNNING = 2;
const PASSED = 3;
const PASSED_CONDITIONALLY = 4;
const FORCED_MAINTENANCE = 0x01;
const FORCED_DRAIN = 0x08;

/** `show servers state` together with `show stat` of the same backends. */
export function heldServers(stateText: string, statText: string): readonly HeldServer[] {
  const sessions = sessionsByServer(statText);
  return rowsOf(stateText).map((row) => {
    const backend = row.be_name ?? '';
    const name = row.srv_name ?? '';
    const result = Number(row.srv_check_result);
    const admin = Number(row.srv_admin_state);
    return {
      backend,
      name,
      address: `${row.srv_addr}:${row.srv_port}`,
      isRunning: Number(row.srv_op_state) === RUNNING,
      hasPassed: result === PASSED || result === PASSED_CONDITIONALLY,
      isParked: (admin & FORCED_MAINTENANCE) !== 0,
      isDrained: (admin & FORCED_DRAIN) !== 0,
      weight: Number(row.srv_uweight),
      sessions: sessions.get(`${backend}/${name}`) ?? 0,
    };
  });
}

/** `show servers state`: a line with the format's version, one with the columns after `#`, then the servers. */
function rowsOf(text: string): Record<string, string>[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const header = lines.find((line) => line.startsWith('# '));
  if (header === undefined) return [];
  const columns = header.slice(2).trim().split(' ');
  return lines
    .slice(lines.indexOf(header) + 1)
    .map((line) => line.trim().split(' '))
    .filter((fields) => fields.length >= 19)
    .map((fields) => Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? ''])));
}

/** `show stat`: comma-separated, the columns in the first line after `# `. */
export function sessionsByServer(statText: string): ReadonlyMap<string, number> {
  const lines = statText.split('\n').filter((line) => line.trim() !== '');
  const columns = lines[0]?.replace(/^# /, '').split(',') ?? [];
  const [backendAt, serverAt, sessionsAt] = ['pxname', 'svname', 'scur'].map((name) => columns.indexOf(name));
  const sessions = new Map<string, number>();
  for (const line of lines.slice(1)) {
    const fields = line.split(',');
    const count = Number(fields[sessionsAt ?? -1]);
    if (Number.isFinite(count)) sessions.set(`${fields[backendAt ?? -1]}/${fields[serverAt ?? -1]}`, count);
  }
  return sessions;
}

/** `show sess`: the ids of those on this server, given as `backend/server`. */
export function sessionsWith(text: string, fullName: string): readonly string[] {
  const [backend, server] = fullName.split('/');
  return text.split('\n').flatMap((line) => {
    const id = /^(0x[0-9a-f]+):/.exec(line)?.[1];
    const fields = new Set(line.split(' '));
    return id !== undefined && fields.has(`be=${backend}`) && fields.has(`srv=${server}`) ? [id] : [];
  });
}

/** `show map FILE`: an id, the key and the value in each line. */
export function mapEntries(text: string): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [id, key, ...value] = line.trim().split(' ');
    if (id?.startsWith('0x') && key !== undefined) entries.set(key, value.join(' '));
  }
  return entries;
}

export interface HaproxyProcesses {
  readonly masterPid: number;
  readonly workerPid: number | undefined;
  /** Left by reloads, finishing what they have. */
  readonly oldWorkerPids: readonly number[];
}

/** `show proc` of the master's socket; undefined when it is no such table. */
export function processesOf(text: string): HaproxyProcesses | undefined {
  let section: 'workers' | 'old' | 'other' = 'other';
  let masterPid: number | undefined;
  let workerPid: number | undefined;
  const oldWorkerPids: number[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('# workers')) section = 'workers';
    else if (line.startsWith('# old workers')) section = 'old';
    else if (line.startsWith('# programs')) section = 'other';
    const [pid, type] = line.trim().split(/\s+/);
    if (type === 'master') masterPid = Number(pid);
    else if (type === 'worker' && section === 'workers') workerPid = Number(pid);
    else if (type === 'worker' && section === 'old') oldWorkerPids.push(Number(pid));
  }
  return masterPid === undefined ? undefined : { masterPid, workerPid, oldWorkerPids };
}
