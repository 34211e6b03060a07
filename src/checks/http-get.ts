/** One plain GET of a path at an endpoint, with a deadline. */
import type { Endpoint } from '../domain/server-group.ts';
import { type HttpResponse, sendHttp } from './smolder/http.ts';

const MAX_BODY_BYTES = 4 * 1024 * 1024;

export interface HttpGet {
  readonly endpoint: Endpoint;
  readonly path: string;
  /** What the router routes by; absent: the endpoint itself. */
  readonly host?: string;
  readonly timeoutMs: number;
}

/** Rejects with the socket's error, a TimeoutError, or the signal's reason. */
export async function httpGet(
  { endpoint, path, host, timeoutMs }: HttpGet,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const name = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const request = {
    method: 'GET',
    url: new URL(`http://${name}:${endpoint.port}${path}`),
    headers: [
      ['User-Agent', 'kiln-check'] as const,
      ...(host === undefined ? [] : [['Host', host] as const]),
    ],
    timeoutMs,
    allowRedirects: false,
    verify: true,
  };
  try {
    return await sendHttp(request, undefined, { maxBodyBytes: MAX_BODY_BYTES }, limited);
  } catch (thrown) {
    throw limited.aborted ? limited.reason : thrown;
  }
}
