/** A real git remote: a bare repository, and a working copy that pushes to it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const WHO = ['-c', 'user.name=Tester', '-c', 'user.email=tester@example.com', '-c', 'commit.gpgsign=false'];

export class GitRemote {
  readonly bare: string;
  readonly work: string;

  /** The working copy may be a folder that is there, with what is in it. */
  constructor(directory: string, name: string, work = path.join(directory, `${name}-work`)) {
    this.bare = path.join(directory, `${name}.git`);
    this.work = work;
    git(directory, 'init', '--quiet', '--bare', '--initial-branch=main', this.bare);
    git(directory, 'init', '--quiet', '--initial-branch=main', this.work);
    this.git('remote', 'add', 'origin', this.bare);
  }

  get url(): string {
    return `file://${this.bare}`;
  }

  git(...argv: readonly string[]): string {
    return git(this.work, ...argv);
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(this.work, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  /** Commits all that is there; answers the commit. */
  commit(message: string, files: Readonly<Record<string, string>> = {}): string {
    this.write(files);
    this.git('add', '--all');
    this.git('commit', '--quiet', '--allow-empty', '-m', message);
    return this.git('rev-parse', 'HEAD').trim();
  }

  push(...refs: readonly string[]): void {
    this.git('push', '--quiet', '--force', 'origin', ...(refs.length === 0 ? ['HEAD'] : refs));
  }
}

function git(directory: string, ...argv: readonly string[]): string {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' };
  const allowed = ['-c', 'protocol.file.allow=always'];
  return execFileSync('git', [...WHO, ...allowed, ...argv], {
    cwd: directory,
    env,
    encoding: 'utf8',
    stdio: 'pipe',
  });
}
