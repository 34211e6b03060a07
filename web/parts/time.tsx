import { useEffect, useState } from 'preact/hooks';

const STEPS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** `4 min`, in the largest unit that fits. */
export function spanText(ms: number): string {
  for (const [unitMs, unit] of STEPS) if (ms >= unitMs) return `${Math.floor(ms / unitMs)} ${unit}`;
  return ms < 0 ? '0 s' : `${Math.round(ms)} ms`;
}

/** How long ago; the exact time is in its title. */
export function Ago({ atMs }: { atMs: number }) {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const ms = nowMs - atMs;
  return (
    <time title={new Date(atMs).toLocaleString()}>{ms < 5_000 ? 'just now' : `${spanText(ms)} ago`}</time>
  );
}
