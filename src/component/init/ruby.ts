/** Gemfile, with Rails and its assets. */
import type { Draft, DraftStep } from './draft.ts';
import type { Folder } from './folder.ts';
import { INSTALL_WHY, installStep } from './node.ts';

export function detectRuby(folder: Folder): Draft | undefined {
  const gemfile = folder.texts.get('Gemfile');
  if (gemfile === undefined) return undefined;
  const gems = `${gemfile}\n${folder.texts.get('Gemfile.lock') ?? ''}`;
  const has = (gem: string) => new RegExp(`^(?:\\s*gem\\s+["']${gem}["']|\\s{2,}${gem} \\()`, 'm').test(gems);
  const notes: string[] = [];
  if (!folder.entries.has('Gemfile.lock')) {
    notes.push('There is no Gemfile.lock: run "bundle lock" and commit it, so that every bake is the same.');
  }
  return has('rails') || folder.entries.has('bin/rails')
    ? rails(folder, has, notes)
    : rack(folder, has, notes);
}

function rails(folder: Folder, has: (gem: string) => boolean, notes: string[]): Draft {
  const assets = folder.entries.has('app/assets/') || has('sprockets-rails') || has('propshaft');
  const packages = folder.entries.has('package.json') ? [installStep(folder, false, notes)] : [];
  const precompile: DraftStep = {
    run: 'env RAILS_ENV=production SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile',
    why: 'the assets, once, in the image',
  };
  notes.push('Rails before 7.1 has no /up: name another path under service.health.');
  return {
    what: 'Rails (Gemfile)',
    kind: 'bundle',
    build: [installGems(), ...packages, ...(assets ? [precompile] : [])],
    run: has('puma')
      ? 'bundle exec puma --environment production --port $PORT'
      : 'bundle exec rails server --environment production --binding 0.0.0.0 --port $PORT',
    health: '/up',
    writable: ['tmp'],
    processes: has('sidekiq') ? { worker: 'bundle exec sidekiq' } : {},
    ...(folder.entries.has('db/migrate/') && { migrate: 'bundle exec rails db:migrate' }),
    values: { RAILS_ENV: 'production', RAILS_LOG_TO_STDOUT: '1', RAILS_SERVE_STATIC_FILES: '1' },
    likelyKeys: ['SECRET_KEY_BASE', 'DATABASE_URL'],
    notes,
  };
}

function rack(folder: Folder, has: (gem: string) => boolean, notes: string[]): Draft {
  const run = has('puma')
    ? 'bundle exec puma --environment production --port $PORT'
    : folder.entries.has('config.ru')
      ? 'bundle exec rackup --env production --host 0.0.0.0 --port $PORT'
      : 'bundle exec ruby app.rb';
  if (!has('puma') && !folder.entries.has('config.ru'))
    notes.push('No puma, no config.ru: correct image.run.');
  return {
    what: has('sinatra') ? 'Sinatra (Gemfile)' : 'Ruby (Gemfile)',
    kind: 'bundle',
    build: [installGems()],
    run,
    processes: {},
    values: { RACK_ENV: 'production' },
    notes,
  };
}

/** The settings go into .bundle, which goes into the image: the running app finds its gems without being told. */
function installGems(): DraftStep {
  const settings = ['path vendor/bundle', 'without development:test'].map(
    (set) => `bundle config set --local ${set}`,
  );
  return { run: [...settings, 'bundle install'].join(' && '), why: INSTALL_WHY };
}
