/** Whether a router of build `ours` is to take the place of a running one of build `theirs`. */
export function supersedes(ours: string, theirs: string): boolean {
  if (ours === theirs) return false;
  const oursAt = numberOf(ours);
  const theirsAt = numberOf(theirs);
  // Builds are named by the time they were made; a server that was rolled back leaves a newer router alone.
  return oursAt === undefined || theirsAt === undefined || oursAt > theirsAt;
}

function numberOf(build: string): number | undefined {
  const digits = /^\d+/.exec(build)?.[0];
  return digits === undefined ? undefined : Number(digits);
}
