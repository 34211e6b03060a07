/** What the router itself answers. A reason has a code for programs and a sentence for people, never a stack. */

export interface Page {
  readonly status: number;
  readonly code: string;
  readonly sentence: string;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

export const PAGES = {
  noRoute: { status: 404, code: 'router.no-route', sentence: 'No service is routed at this host and path.' },
  noInstance: {
    status: 503,
    code: 'router.no-healthy-instance',
    sentence: 'The service has no healthy instance right now. Try again shortly.',
  },
  unreachable: {
    status: 502,
    code: 'router.instance-unreachable',
    sentence: 'The instance could not be reached.',
  },
  brokenAnswer: {
    status: 502,
    code: 'router.broken-answer',
    sentence: 'The instance closed the connection or answered with something that is not HTTP.',
  },
  drained: {
    status: 503,
    code: 'router.drained',
    sentence: 'The instance was taken out of service before it had answered. Try again.',
  },
  silent: { status: 504, code: 'router.instance-silent', sentence: 'The instance did not answer in time.' },
  slowClient: { status: 408, code: 'router.slow-request', sentence: 'The request did not arrive in time.' },
  fault: { status: 500, code: 'router.internal', sentence: 'The router failed on this request.' },
} as const satisfies Record<string, Page>;

export function badRequest(status: number, why: string): Page {
  return { status, code: 'router.bad-request', sentence: `The request was refused: ${why}.` };
}

export const JSON_TYPE = 'application/problem+json';
export const HTML_TYPE = 'text/html; charset=utf-8';

export function jsonBody(page: Page): string {
  const { status, code, sentence } = page;
  return `${JSON.stringify({ status, title: reasonOf(page), code, detail: sentence })}\n`;
}

export function htmlBody(page: Page): string {
  const title = `${page.status} ${reasonOf(page)}`;
  return `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n<p>${escapeHtml(page.sentence)}</p>\n<p><small>kiln: ${page.code}</small></p>\n`;
}

function reasonOf({ status }: Page): string {
  return REASONS[status] ?? 'Error';
}

/** The whole response as latin1 text; JSON for who asks for JSON, else HTML. */
export function pageText(page: Page, accept: string, keepAlive: boolean, withBody: boolean): string {
  const isJson = /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(accept);
  const reason = reasonOf(page);
  const body = isJson ? jsonBody(page) : htmlBody(page);
  const type = isJson ? JSON_TYPE : HTML_TYPE;
  const retry = page.status === 503 ? 'Retry-After: 1\r\n' : '';
  const connection = keepAlive ? '' : 'Connection: close\r\n';
  const head = `HTTP/1.1 ${page.status} ${reason}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nX-Kiln-Reason: ${page.code}\r\n${retry}${connection}\r\n`;
  return withBody ? head + body : head;
}

/** The Accept header among a request's lines; empty when there is none. */
export function acceptIn(lines: string): string {
  return /^accept:(.*)$/im.exec(lines)?.[1]?.trim() ?? '';
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
