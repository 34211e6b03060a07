/** Operations on the server itself: tokens, the page, the audit log, events. */
import type { RouteInfo } from '../route-info.ts';

export const SERVER_ROUTES = {
  'tokens.list': {
    method: 'get',
    path: '/tokens',
    role: 'admin',
    summary: 'Tokens, without their secrets',
    answers: 'json',
  },
  'tokens.create': {
    method: 'post',
    path: '/tokens',
    role: 'admin',
    summary: 'Make a token; its secret is answered once',
    answers: 'json',
  },
  'tokens.delete': {
    method: 'delete',
    path: '/tokens/{id}',
    role: 'admin',
    summary: 'Delete a token; it is refused from then on',
    answers: 'json',
  },
  'page.code': {
    method: 'post',
    path: '/page/codes',
    role: 'viewer',
    summary: 'A code that opens the page once, with the rights of whoever asks',
    answers: 'json',
  },
  'page.session': {
    method: 'post',
    path: '/page/sessions',
    role: 'viewer',
    summary: 'Exchange a page code, sent in place of a token, for a token of the page’s own',
    answers: 'json',
  },
  'audit.list': {
    method: 'get',
    path: '/audit',
    role: 'viewer',
    summary: 'Who did what and when, newest first',
    answers: 'json',
  },
  'audit.verify': {
    method: 'get',
    path: '/audit/verify',
    role: 'viewer',
    summary: 'Whether the chain of the audit log is whole',
    answers: 'json',
  },
  'events.follow': {
    method: 'get',
    path: '/events',
    role: 'viewer',
    summary: 'Committed changes as they happen; resumes after Last-Event-ID and misses nothing',
    answers: 'events',
  },
  'server.get': {
    method: 'get',
    path: '/server',
    role: 'viewer',
    summary: 'This server: version, store, routers, targets',
    answers: 'json',
  },
  'server.down': {
    method: 'post',
    path: '/server/down',
    role: 'admin',
    summary: 'Stop the server, and with it instances and routers unless told otherwise',
    answers: 'json',
  },
} as const satisfies Record<string, RouteInfo>;
