// The Kafka port for one life of a process: every call is traced and passes through the life's gate, and so do the
// broker's callbacks to its consumers. A dead process sends nothing and receives nothing.
import type {
  Admin,
  FetchedBatch,
  GroupConsumer,
  Kafka,
  OutgoingBatch,
  Producer,
  RangeReader,
  Transaction,
  TransactionalProducer,
} from '../platform/kafka/port.ts'
import type { Life } from './life.ts'
import type { Trace } from './trace.ts'

const shape = (batches: readonly OutgoingBatch[]): string =>
  batches.map(({ topic, partition, records }) => `${topic}/${partition}×${records.count}`).join(' ')

export function livingKafka(kafka: Kafka, life: Life, trace: Trace): Kafka {
  const call = <T>(what: string, run: () => Promise<T>): Promise<T> => {
    if (life.isAlive) trace.event(life.name, what)
    return life.call(run)
  }
  return {
    admin: async () => livingAdmin(await call('admin', () => kafka.admin()), call),
    producer: async () => livingProducer(await call('producer', () => kafka.producer()), call),
    transactionalProducer: async (options) => {
      const id = options.transactionalId
      const inner = await call(`transactional ${id}`, () => kafka.transactionalProducer(options))
      return livingTransactional(inner, id, call)
    },
    groupConsumer: (options) => livingConsumer(kafka.groupConsumer(options), options.group, life, call),
    rangeReader: async () => livingReader(await call('range reader', () => kafka.rangeReader()), life, call),
  }
}

type Call = <T>(what: string, run: () => Promise<T>) => Promise<T>

const livingAdmin = (inner: Admin & { close(): Promise<void> }, call: Call): Admin & { close(): Promise<void> } => ({
  ensureTopics: (topics) => call('ensure topics', () => inner.ensureTopics(topics)),
  listTopics: () => call('list topics', () => inner.listTopics()),
  partitionCount: (topic) => call(`partitions of ${topic}`, () => inner.partitionCount(topic)),
  offsetRanges: (topic) => call(`ranges of ${topic}`, () => inner.offsetRanges(topic)),
  highWatermarks: (topic) => call(`high watermarks of ${topic}`, () => inner.highWatermarks(topic)),
  openTransactions: (topic) => call(`open transactions of ${topic}`, () => inner.openTransactions(topic)),
  committedOffsets: (group, topic) => call(`committed ${group} ${topic}`, () => inner.committedOffsets(group, topic)),
  close: () => call('close admin', () => inner.close()),
})

const livingProducer = (inner: Producer, call: Call): Producer => ({
  send: (batches) => call(`send ${shape(batches)}`, () => inner.send(batches)),
  close: () => call('close producer', () => inner.close()),
})

const livingTransactional = (inner: TransactionalProducer, id: string, call: Call): TransactionalProducer => ({
  fence: () => call(`fence ${id}`, () => inner.fence()),
  begin: async () => livingTransaction(await call(`begin ${id}`, () => inner.begin()), id, call),
  close: () => call(`close ${id}`, () => inner.close()),
})

const livingTransaction = (inner: Transaction, id: string, call: Call): Transaction => ({
  send: (batches) => call(`${id} sends ${shape(batches)}`, () => inner.send(batches)),
  sendOffsets: (group, offsets) =>
    call(`${id} sends offsets ${offsets.map(({ partition, offset }) => `${partition}@${offset}`).join(' ')}`, () =>
      inner.sendOffsets(group, offsets),
    ),
  commit: () => call(`${id} commits`, () => inner.commit()),
  abort: () => call(`${id} aborts`, () => inner.abort()),
})

/** A batch being processed when its process dies never completes: the broker never hears of it. */
function handOver(
  life: Life,
  fetched: FetchedBatch,
  handle: (fetched: FetchedBatch) => void | Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    life.deliver(() => {
      Promise.try(() => handle(fetched)).then(resolve, reject)
    })
  })
}

const livingConsumer = (inner: GroupConsumer, group: string, life: Life, call: Call): GroupConsumer => {
  const now = (run: () => void): void => {
    if (life.isAlive) run()
  }
  return {
    run: (handlers) =>
      call(`joins ${group}`, () =>
        inner.run({
          onAssigned: (partitions, generation) => life.deliver(() => handlers.onAssigned(partitions, generation)),
          onBatch: (fetched, context) =>
            handOver(life, fetched, (given) =>
              handlers.onBatch(given, {
                isStale: () => context.isStale(),
                heartbeat: () => call(`heartbeat ${group}`, () => context.heartbeat()),
              }),
            ),
          onHeartbeat: () => life.deliver(() => handlers.onHeartbeat?.()),
          onCrash: (error) => life.deliver(() => handlers.onCrash(error)),
        }),
      ),
    seek: (at, offset) => now(() => inner.seek(at, offset)),
    pause: (at) => now(() => inner.pause(at)),
    resume: (at) => now(() => inner.resume(at)),
    commit: (at, offset) =>
      call(`commits ${group} ${at.topic}/${at.partition}@${offset}`, () => inner.commit(at, offset)),
    close: () => call(`leaves ${group}`, () => inner.close()),
  }
}

const livingReader = (inner: RangeReader, life: Life, call: Call): RangeReader => ({
  read: (at, from, to, onBatch) =>
    call(`reads ${at.topic}/${at.partition} [${from}, ${to})`, () =>
      inner.read(at, from, to, (fetched) => handOver(life, fetched, onBatch)),
    ),
  follow: (at, from, signal, onBatch) =>
    call(`follows ${at.topic}/${at.partition} from ${from}`, () =>
      inner.follow(at, from, signal, (fetched) => handOver(life, fetched, onBatch)),
    ),
  close: () => call('close range reader', () => inner.close()),
})
