import type { Answer } from '../../src/api/contract.ts';
import { Ago } from './time.tsx';

type CheckResult = Answer<'images.get'>['checks'][number];

/** In their order; each with what it found first. */
export function CheckResults({ checks }: { checks: readonly CheckResult[] }) {
  return (
    <ol class="history">
      {checks.map((check) => (
        <li key={check.id}>
          <Verdict passed={check.passed} /> {check.kind} at {check.where}: {check.passedCount} passed,{' '}
          {check.failedCount} failed, <Ago atMs={check.atMs} />
          {check.failures.map((failure) => (
            <p class="problem" key={failure}>
              {failure}
            </p>
          ))}
        </li>
      ))}
    </ol>
  );
}

export function Verdict({ passed }: { passed: boolean }) {
  return <span class={`state ${passed ? 'ready' : 'failed'}`}>{passed ? 'passed' : 'failed'}</span>;
}
