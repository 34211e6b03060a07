/** What is said in a chat, and whether it is Slack that says it. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KilnError } from '../../domain/errors.ts';
import { chatWish } from './chat-wish.ts';
import { isSlackSigned, slashCommand } from './slack.ts';

describe('a wish', () => {
  it.each([
    ['', { kind: 'help' }],
    ['help me', { kind: 'help' }],
    ['List', { kind: 'list' }],
    ['start shop', { kind: 'start', pipeline: 'shop', parameters: {} }],
    [
      'start  shop at v1.2.0 colour="dark green" motto=“as is”',
      {
        kind: 'start',
        pipeline: 'shop',
        at: 'v1.2.0',
        parameters: { colour: 'dark green', motto: 'as is' },
      },
    ],
    ['why exec-1', { kind: 'why', execution: 'exec-1' }],
    ['cancel exec-1', { kind: 'cancel', execution: 'exec-1' }],
    ['approve exec-1', { kind: 'approve', execution: 'exec-1', why: '' }],
    ['reject exec-1 not on a friday', { kind: 'reject', execution: 'exec-1', why: 'not on a friday' }],
  ])('%j', (text, wish) => expect(chatWish(text)).toEqual(wish));

  it.each(['start', 'start shop at', 'start shop now', 'why', 'reject exec-1', 'deploy shop'])(
    '%j is refused with what is possible',
    (text) => expect(() => chatWish(text)).toThrow(expect.objectContaining({ next: expect.any(String) })),
  );

  it('is one, or a refusal that says more, whatever is written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        try {
          expect(chatWish(text).kind).toBeTruthy();
        } catch (error) {
          expect(error).toBeInstanceOf(KilnError);
        }
      }),
    );
  });
});

describe('Slack', () => {
  // The example of Slack's own documentation.
  const secret = '8f742231b10e8888abcd99yyyzzz85a5';
  const body = Buffer.from(
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
  );
  const timestamp = '1531420618';
  const signature = 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503';
  const signed = (more: { at?: string; by?: string | undefined; of?: Buffer; nowS?: number } = {}) => {
    const { at = timestamp, by = signature, of = body, nowS = 1_531_420_700 } = more;
    const headers: Record<string, string> = {
      'x-slack-request-timestamp': at,
      'x-slack-signature': by,
    };
    return isSlackSigned({ header: (name) => headers[name], body: of, atMs: nowS * 1_000 }, secret);
  };

  it('signs its commands, and for five minutes', () => {
    expect(signed()).toBe(true);
    expect(slashCommand(body)).toEqual({
      user: 'U2CERLKJA',
      text: '',
      id: '398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    });
    expect(signed({ nowS: 1_531_420_618 + 301 })).toBe(false);
    const later = String(1_531_420_618 + 1_000);
    expect(signed({ at: later, nowS: 1_531_420_618 + 1_000 })).toBe(false);
    const unsaid = `v0=${createHmac('sha256', secret).update('v0::').update(body).digest('hex')}`;
    expect(signed({ at: '', by: unsaid })).toBe(false);
  });

  it('is not believed once a byte differs', () => {
    fc.assert(
      fc.property(fc.nat({ max: body.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Buffer.from(body);
        changed[at] = (changed[at] ?? 0) ^ by;
        expect(signed({ of: changed })).toBe(false);
      }),
    );
    fc.assert(fc.property(fc.string(), (by) => !signed({ by })));
    expect(() => slashCommand(Buffer.from('text=list'))).toThrow('no slash command');
  });
});
