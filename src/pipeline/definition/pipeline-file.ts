/** `pipeline.yaml` (or a `Pipeline:` root key, or plain JSON) → a state machine; every fault at once, in its place. */
import { z } from 'zod';
import { type Finding, foundText, place } from '../../component/faults.ts';
import { readYaml, type YamlSource } from '../../component/yaml-source.ts';
import { type Fault, KilnError } from '../../domain/errors.ts';
import type { StateMachine } from '../asl/definition.ts';
import type { DefinitionFault, DefinitionPath } from '../asl/faults.ts';
import { isObject, type Json, type JsonObject } from '../asl/json.ts';
import { checkStateMachine, counted } from '../asl/load.ts';
import { schemaFaults } from '../asl/schema-faults.ts';
import { concurrencySchema, prioritySchema } from './concurrency.ts';
import { type FolderFacts, folderWarnings } from './folder-warnings.ts';
import { withPathKeys } from './microtica.ts';
import { type PipelineParameter, parameterSchema } from './parameters.ts';
import { resourceFaults } from './resource-faults.ts';
import type { TaskResource } from './resources.ts';
import { checkoutSchema, triggersSchema } from './trigger-declarations.ts';

export interface PipelineDefinition {
  readonly machine: StateMachine;
  readonly parameters: readonly PipelineParameter[];
  /** As written; absent: the file says nothing of them. */
  readonly triggers?: z.infer<typeof triggersSchema>;
  readonly checkout: z.infer<typeof checkoutSchema>;
  readonly concurrency?: z.infer<typeof concurrencySchema>;
  readonly priority?: number;
  /** Nothing wrong, and perhaps not what was meant. */
  readonly warnings: readonly Fault[];
}

/** What AWS takes of a definition. */
const LARGEST_LENGTH = 1_048_576;
/** Nobody reads more of them at once. */
const MOST_TOLD = 500;

export interface ReadOptions {
  /** Tasks that may be named; unless given, any may be. */
  readonly resources?: readonly TaskResource[];
  /** Of the component that it is the pipeline of, for warnings. */
  readonly folder?: FolderFacts;
}

/** Throws KilnError (`pipeline.invalid`) with all faults in the order of the file. */
export async function readPipeline(
  text: string,
  fileName: string,
  { resources, folder }: ReadOptions = {},
): Promise<PipelineDefinition> {
  if (text.length > LARGEST_LENGTH) throw tooLarge(fileName);
  const source = readYaml(text, fileName);
  const root = rootOf(source.value);
  if (root === undefined)
    throw invalid(fileName, [...source.faults, ...(source.value === undefined ? [] : [noMachine(source)])]);
  const { declared, definition } = withoutDeclarations(root.value);
  const parameters = z.array(parameterSchema, 'a list of parameters').safeParse(declared.Parameters ?? []);
  const triggers = triggersSchema.optional().safeParse(declared.Triggers);
  const checkout = checkoutSchema.safeParse(declared.Checkout ?? {});
  const concurrency = concurrencySchema.optional().safeParse(declared.Concurrency);
  const priority = prioritySchema.optional().safeParse(declared.Priority);
  const written = root.isMicrotica ? withPathKeys(definition) : definition;
  const { machine, faults } = await checkStateMachine(written);
  const found: readonly DefinitionFault[] = [
    ...faults,
    ...declarationFaults('Parameters', parameters.error, declared.Parameters),
    ...declarationFaults('Triggers', triggers.error, declared.Triggers),
    ...declarationFaults('Checkout', checkout.error, declared.Checkout),
    ...declarationFaults('Concurrency', concurrency.error, declared.Concurrency),
    ...declarationFaults('Priority', priority.error, declared.Priority),
    ...(resources ? resourceFaults(written, resources) : []),
  ];
  const placedIn = (fault: DefinitionFault) => place(inFile(fault, root.path, source), source);
  const placed = found.map(placedIn);
  const all = [...source.faults, ...placed];
  if (
    machine === undefined ||
    !parameters.success ||
    !triggers.success ||
    !checkout.success ||
    !concurrency.success ||
    !priority.success ||
    all.length > 0
  ) {
    throw invalid(fileName, all);
  }
  return {
    machine,
    parameters: parameters.data,
    checkout: checkout.data,
    warnings: folder ? folderWarnings(machine, folder).map(placedIn).toSorted(byPlace) : [],
    ...(triggers.data && { triggers: triggers.data }),
    ...(concurrency.data && { concurrency: concurrency.data }),
    ...(priority.data !== undefined && { priority: priority.data }),
  };
}

interface Root {
  readonly value: JsonObject;
  readonly path: DefinitionPath;
  readonly isMicrotica: boolean;
}

function rootOf(value: unknown): Root | undefined {
  if (!isObject(value)) return undefined;
  const inner = value.Pipeline;
  if (isObject(inner)) return { value: inner, path: ['Pipeline'], isMicrotica: true };
  return { value, path: [], isMicrotica: false };
}

/** What is declared beside the machine is Kiln's; `x-…` keys at the top are the author's own, such as a home for anchors. */
function withoutDeclarations(root: JsonObject): { declared: JsonObject; definition: JsonObject } {
  const { Parameters, Triggers, Checkout, Concurrency, Priority, ...rest } = root;
  const all = { Parameters, Triggers, Checkout, Concurrency, Priority };
  return {
    declared: Object.fromEntries(
      Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    ),
    definition: Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith('x-'))),
  };
}

function declarationFaults(
  key: string,
  error: z.ZodError | undefined,
  declared: Json | undefined,
): readonly DefinitionFault[] {
  const faults = error === undefined ? [] : schemaFaults(error.issues, declared);
  return faults.map((fault) => ({ ...fault, path: [key, ...fault.path] }));
}

/** The fault with its path in the file; a key that only got its `.$` on reading is found without it. */
function inFile(fault: DefinitionFault, root: DefinitionPath, source: YamlSource): Finding {
  const path = [...root, ...fault.path];
  const written = path.map((step) => (typeof step === 'string' ? step.replace(/\.\$$/, '') : step));
  const isWritten = source.written(path) === undefined && source.written(written) !== undefined;
  return { ...fault, path: isWritten ? written : path };
}

function noMachine(source: YamlSource): Fault {
  const { value } = source;
  return place(
    {
      path: [],
      at: 'value',
      message: 'not a pipeline',
      found: value === undefined || value === null ? 'nothing' : foundText(value),
      expected: 'a map with StartAt and States',
    },
    source,
  );
}

function invalid(fileName: string, found: readonly Fault[]): KilnError {
  const faults = found.toSorted(byPlace);
  const [first] = faults;
  const where = first?.location ? ` The first is in line ${first.location.line}: ${said(first)}.` : '';
  const more = faults.length > MOST_TOLD ? ` The first ${MOST_TOLD} are listed.` : '';
  return new KilnError('pipeline.invalid', `${fileName} has ${counted(faults.length)}.${where}${more}`, {
    next: 'Correct the file and try again; docs/pipeline.md explains every field.',
    faults: faults.slice(0, MOST_TOLD),
  });
}

function tooLarge(fileName: string): KilnError {
  return new KilnError('pipeline.invalid', `${fileName} has more than ${LARGEST_LENGTH} characters.`, {
    next: 'Share it out over several pipelines: the task pipeline starts another one.',
  });
}

function said(fault: Fault): string {
  return fault.path === '' ? fault.message : `${fault.path}: ${fault.message}`;
}

function byPlace(a: Fault, b: Fault): number {
  const [one, two] = [a.location, b.location];
  return (one?.line ?? 0) - (two?.line ?? 0) || (one?.column ?? 0) - (two?.column ?? 0);
}
