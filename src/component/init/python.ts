/** requirements.txt or pyproject.toml, with Django, FastAPI and Flask. */
import type { Draft, DraftStep } from './draft.ts';
import type { Folder } from './folder.ts';
import { INSTALL_WHY } from './node.ts';

/** Packages go into the image's own folder: a venv would hold the paths of the machine that made it. */
const PYTHON = 'env PYTHONPATH=site-packages python3';

export function detectPython(folder: Folder): Draft | undefined {
  const requirements = folder.texts.get('requirements.txt');
  const project = folder.texts.get('pyproject.toml');
  const declared = requirements ?? project;
  if (declared === undefined) return undefined;
  const has = (name: string) =>
    new RegExp(`(?:^|["'\\s])${name}(?:\\[|[\\s=<>~!;"',]|$)`, 'im').test(declared);
  const notes: string[] = [];
  const app = findApp(folder, has, notes);
  return {
    what: `${app.what} (${requirements === undefined ? 'pyproject.toml' : 'requirements.txt'})`,
    kind: 'bundle',
    build: installSteps(requirements, notes),
    run: app.run,
    processes: has('celery') ? celery(notes) : {},
    ...(app.migrate !== undefined && { migrate: app.migrate }),
    values: { PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1' },
    notes,
  };
}

function installSteps(requirements: string | undefined, notes: string[]): readonly DraftStep[] {
  if (requirements === undefined) {
    notes.push(
      'pip installs the project itself with what it needs; it is not cached, since it sees all sources.',
    );
    return [{ run: 'python3 -m pip install --no-cache-dir --target site-packages .' }];
  }
  if (!/\S/.test(requirements.replaceAll(/#.*/g, ''))) return [];
  return [
    {
      run: 'python3 -m pip install --target site-packages -r requirements.txt',
      why: INSTALL_WHY,
    },
  ];
}

interface App {
  readonly what: string;
  readonly run: string;
  readonly migrate?: string;
}

function findApp(folder: Folder, has: (name: string) => boolean, notes: string[]): App {
  if (folder.entries.has('manage.py') || has('django')) return django(folder, has, notes);
  if (has('fastapi') || has('starlette') || has('uvicorn')) {
    const module = moduleWith(folder, /\b(?:FastAPI|Starlette)\(/) ?? guess('main', notes);
    return {
      what: has('fastapi') ? 'FastAPI' : 'Python',
      run: `${PYTHON} -m uvicorn ${module}:app --host 0.0.0.0 --port $PORT`,
    };
  }
  if (has('flask')) {
    const module = moduleWith(folder, /\bFlask\(/) ?? guess('app', notes);
    if (has('gunicorn'))
      return { what: 'Flask', run: `${PYTHON} -m gunicorn --bind 0.0.0.0:$PORT ${module}:app` };
    notes.push("Flask's own server is for development: add gunicorn to the requirements.");
    return { what: 'Flask', run: `${PYTHON} -m flask --app ${module} run --host 0.0.0.0 --port $PORT` };
  }
  const script = ['server.py', 'app.py', 'main.py', 'run.py'].find((file) => folder.entries.has(file));
  if (script === undefined) notes.push('No framework and no main script found: correct image.run.');
  return { what: 'Python', run: `${PYTHON} ${script ?? 'main.py'}` };
}

function django(folder: Folder, has: (name: string) => boolean, notes: string[]): App {
  const settings = /["']([\w.]+)\.settings/.exec(folder.texts.get('manage.py') ?? '')?.[1];
  const migrate = `${PYTHON} manage.py migrate --noinput`;
  if (settings !== undefined && has('gunicorn')) {
    return { what: 'Django', run: `${PYTHON} -m gunicorn --bind 0.0.0.0:$PORT ${settings}.wsgi`, migrate };
  }
  notes.push("Django's own server is for development: add gunicorn to the requirements.");
  return { what: 'Django', run: `${PYTHON} manage.py runserver --noreload 0.0.0.0:$PORT`, migrate };
}

function celery(notes: string[]): Readonly<Record<string, string>> {
  notes.push('Celery is a requirement: correct the app of the process "worker".');
  return { worker: `${PYTHON} -m celery --app app worker` };
}

function moduleWith(folder: Folder, pattern: RegExp): string | undefined {
  const found = [...folder.texts].find(([name, text]) => name.endsWith('.py') && pattern.test(text));
  return found?.[0].replace(/\.py$/, '');
}

function guess(module: string, notes: string[]): string {
  notes.push(`The module of the app was not found: correct "${module}:app" in image.run.`);
  return module;
}
