/** What becomes of an image. */
import type { VerbEntry } from './verb-entry.ts';

export const IMAGES: readonly VerbEntry[] = [
  {
    name: 'promote',
    args: '<image> <channel>',
    summary: 'move a channel to a tested image, or back to one it held',
    options: [
      ['--expected <ref>', 'only while the channel holds this image'],
      ['--why <text>', 'the reason, for the history'],
      ['--back', 'move the channel back to what it held before; <image> is then a component'],
      ['--history', 'show the history of the channel instead; <image> is then a component'],
      ['--approve', 'approve of the image for the channel instead of moving it'],
      ['--policy [text]', 'show, or set, what the channel demands; <image> is then a component'],
    ],
    example:
      'kiln promote storefront@1.2.0 proven --why "checked in stage/local"\n  kiln promote storefront golden --policy "checks=smoke,scan approvals=1 after=proven:24h"\n  kiln promote storefront@1.2.0 golden --approve\n  kiln promote storefront golden --back --why "it leaks"',
    load: () => import('../verbs/promote.ts'),
  },
  {
    name: 'channels',
    args: '[what] [dir]',
    summary:
      'what channels hold; what each demands and an image still lacks; or make the demands of a kiln.yaml those of the server',
    options: [
      ['--dry-run', 'of apply: only show what would change'],
      ['--loosen', 'of apply: also where the server demands more than the file'],
    ],
    example:
      'kiln channels storefront\n  kiln channels storefront@1.2.0\n  kiln channels apply examples/storefront --dry-run',
    load: () => import('../verbs/channels.ts'),
  },
  {
    name: 'sbom',
    args: '<image>',
    summary: 'what software an image holds, as CycloneDX',
    options: [],
    example: 'kiln sbom storefront@1.2.0 > storefront.cdx.json',
    load: () => import('../verbs/sbom.ts'),
  },
  {
    name: 'scan',
    args: '[image]',
    summary: 'what is known against an image, or against every image there is and where it runs',
    options: [
      ['--advisories <dir>', 'folder of advisories in the format of OSV, on the server’s machine'],
      ['--waive <finding>', 'let a finding pass for a while, with --why and --until'],
      ['--why <text>', 'of a waiver: the reason'],
      ['--until <date>', 'of a waiver: its last day, such as 2030-01-31'],
      ['--component <name>', 'of a waiver: only for this one'],
      ['--waivers', 'list the waivers'],
      ['--end-waiver <id>', 'end a waiver now'],
    ],
    example: 'kiln scan storefront@1.2.0 --advisories /srv/osv\n  kiln scan --advisories /srv/osv',
    interrupt: 'stops waiting; the scan goes on in the server',
    load: () => import('../verbs/scan.ts'),
  },
  {
    name: 'push',
    args: '<image> <to>',
    summary: 'push an image to an OCI registry; what is there already is not sent',
    options: [],
    example: 'kiln push storefront@1.2.0 registry.example.com/team/storefront',
    interrupt: 'cancels the push; what was sent is not sent again',
    load: () => import('../verbs/push.ts'),
  },
  {
    name: 'pull',
    args: '<from>',
    summary: 'take over an image that another Kiln has pushed, by tag or by digest',
    options: [],
    example: 'kiln pull registry.example.com/team/storefront:1.2.0',
    interrupt: 'cancels the pull; what has come does not come again',
    load: () => import('../verbs/pull.ts'),
  },
  {
    name: 'lineage',
    args: '<image>',
    summary: 'what an image was baked from, and what was baked from it',
    options: [],
    example: 'kiln lineage node-runtime:golden',
    load: () => import('../verbs/lineage.ts'),
  },
  {
    name: 'rebakes',
    args: '[action] [image]',
    summary: 'images that follow their base and are behind: what comes next for each, or why it failed',
    options: [],
    example: 'kiln rebakes\n  kiln rebakes retry storefront@1.2.0',
    load: () => import('../verbs/rebakes.ts'),
  },
  {
    name: 'tag',
    args: '<image> <tags...>',
    summary: 'give an image tags (KEY=VALUE) or take some away (KEY=); expires=never pins it',
    options: [],
    example: 'kiln tag storefront@1.2.0 expires=never env=stage\n  kiln tag storefront@1.2.0 expires=',
    load: () => import('../verbs/tag.ts'),
  },
  {
    name: 'revoke',
    args: '<image>',
    summary: 'mark an image and all that was baked from it as unfit, and name what runs on it',
    options: [
      ['--why <text>', 'the reason, for everybody who meets it'],
      ['--replace', 'start the deployment of the last good release wherever a revoked image serves'],
    ],
    example: 'kiln revoke storefront@1.2.0 --why "leaks its log" --replace',
    load: () => import('../verbs/revoke.ts'),
  },
  {
    name: 'janitor',
    args: '[action] [image]',
    summary: 'sweep images that nothing can need, or say why one is kept',
    options: [
      ['--dry-run', 'only say what a run would do'],
      ['--limit <n>', 'of announced: at most so many (default 20)'],
      ['--cursor <cursor>', 'of announced: go on after the previous page'],
    ],
    example:
      'kiln janitor run --dry-run\n  kiln janitor announced\n  kiln janitor enable\n  kiln janitor explain storefront@1.2.0',
    load: () => import('../verbs/janitor.ts'),
  },
];
