/** A machine's root filesystem that is made in a moment: this machine's shell, BATS and Perl, and a program that serves. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { writeTree } from '../e2e/bake-fixture.ts';
import { writeSmallRoot } from '../scan/small-root.ts';

/** Answers every request with its version, and `/missing` with 404. */
const SERVER = `#!/usr/bin/perl
use strict; use IO::Socket::INET; $| = 1;
my $server = IO::Socket::INET->new(LocalAddr => $ENV{HOST}, LocalPort => $ENV{PORT}, Listen => 16, ReuseAddr => 1) or die "cannot listen: $@";
print "serving $ENV{KILN_COMPONENT}\\n";
while (my $client = $server->accept) {
  my $line = <$client> // '';
  while (<$client>) { last if /^\\r?$/ }
  my $status = $line =~ m{ /missing } ? '404 Not Found' : '200 OK';
  my $body = "version $ENV{KILN_VERSION}\\n";
  print $client "HTTP/1.1 $status\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $client;
}
`;

const BATS = ['/usr/bin/bats', '/usr/lib/bats-core', '/usr/libexec/bats-core'];

export interface SmallMachine {
  readonly without?: readonly ('bash' | 'sh' | 'tmp')[];
  readonly files?: Readonly<Record<string, string>>;
}

/** What all small machines have. @param root absolute, made by this */
export async function writeSmallMachine(root: string): Promise<void> {
  await writeSmallRoot(root);
  for (const place of [...BATS, ...perl()]) if (existsSync(place)) copy(place, root);
  await writeTree(root, { 'opt/serve': SERVER });
  for (const folder of ['tmp', 'run', 'dev', 'proc', 'sys']) {
    mkdirSync(path.join(root, folder), { recursive: true });
  }
  execFileSync('chmod', ['-R', 'a+rX', root]);
}

/** @param file absolute: the archive, which this makes. @param root of `writeSmallMachine` */
export async function archiveSmallMachine(
  file: string,
  root: string,
  { without = [], files = {} }: SmallMachine = {},
): Promise<void> {
  const more = `${file}.more`;
  await writeTree(more, files);
  const added = Object.keys(files).length === 0 ? [] : ['-C', more, ...Object.keys(files)];
  const places = without.flatMap((name) =>
    name === 'tmp' ? ['./tmp'] : [`./bin/${name}`, `./usr/bin/${name}`],
  );
  const owner = ['--owner=0', '--group=0', '--numeric-owner'];
  const excluded = places.map((place) => `--exclude=${place}`);
  execFileSync('tar', [...owner, '-cf', file, ...excluded, '-C', root, '.', ...added]);
}

/** Debian's perl-base, which every Debian has, with the libraries of the program. */
function perl(): string[] {
  const program = realpathSync('/usr/bin/perl');
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].flatMap(([, library]) => library ?? []);
  const modules = readdirSync('/usr/lib').map((name) => `/usr/lib/${name}/perl-base`);
  return ['/usr/bin/perl', ...libraries, ...modules];
}

function copy(place: string, root: string): void {
  const to = path.join(root, place);
  mkdirSync(path.dirname(to), { recursive: true });
  cpSync(realpathSync(place), to, { recursive: true });
}
