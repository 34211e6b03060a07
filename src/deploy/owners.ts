/** Keeps an owner for every service that has anything to own, and wakes them when something may have changed. */
import { asKilnError } from '../domain/errors.ts';
import { type ServiceKey, serviceKey } from '../domain/ids.ts';
import { ServiceOwner } from './owner.ts';
import type { DeployParts } from './parts.ts';

const RETRY_MS = 1_000;

export class Owners {
  private readonly parts: DeployParts;
  private readonly holder: string;
  private readonly owners = new Map<ServiceKey, ServiceOwner>();
  private readonly running = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private unsubscribe: readonly (() => void)[] = [];

  /** `holder` names this server in leases; it must differ from one start of the server to the next. */
  constructor(parts: DeployParts, holder: string) {
    this.parts = parts;
    this.holder = holder;
  }

  async start(): Promise<void> {
    this.unsubscribe = [...this.parts.targets.values()].map((target) =>
      target.onChange(() => this.wakeAll()),
    );
    await this.adopt();
    this.track(this.follow(this.stopping.signal));
  }

  /** Owns the service from now on, if it did not, and looks at it at once. */
  wake(service: ServiceKey): void {
    this.ownerOf(service).wake();
  }

  async close(): Promise<void> {
    for (const stop of this.unsubscribe) stop();
    this.stopping.abort(new Error('the server is closing'));
    await Promise.all(this.running);
    for (const service of this.owners.keys()) await this.parts.store.leases.release(service, this.holder);
  }

  private wakeAll(): void {
    for (const owner of this.owners.values()) owner.wake();
  }

  private ownerOf(service: ServiceKey): ServiceOwner {
    const known = this.owners.get(service);
    if (known !== undefined) return known;
    const owner = new ServiceOwner(this.parts, service, this.holder);
    this.owners.set(service, owner);
    this.track(owner.run(this.stopping.signal));
    return owner;
  }

  private async adopt(): Promise<void> {
    const services = await this.parts.store.services.list();
    for (const { component, environment } of services) this.ownerOf(serviceKey(component, environment));
  }

  /** Other servers on the same store make services and deployments too. */
  private async follow(signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.parts;
    let revision = await store.events.revision();
    while (!signal.aborted) {
      try {
        revision = await store.events.waitAfter(revision, signal);
        const before = this.owners.size;
        await this.adopt();
        if (this.owners.size > before) this.wakeAll();
      } catch (thrown) {
        if (signal.aborted) return;
        log.warn({ code: asKilnError(thrown).code }, 'cannot follow the store; trying again');
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  private track(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) => {
      this.parts.log.warn({ error: String(error) }, 'an owner stopped unexpectedly');
    });
    this.running.add(tracked);
    void tracked.finally(() => this.running.delete(tracked));
  }
}
