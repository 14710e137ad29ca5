// The configuration files of a local single-node broker: KRaft, broker and controller in one process, loopback only.
// Values are for one machine with few cores, where nothing is gained by waiting for replicas that do not exist.

export interface BrokerLayout {
  readonly logDir: string
  readonly port: number
  readonly controllerPort: number
  /** Added to, or in place of, the properties below. */
  readonly properties: Readonly<Record<string, string>>
}

export function serverProperties({ logDir, port, controllerPort, properties }: BrokerLayout): string {
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `CLIENT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'CLIENT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': logDir,
    // One node: internal topics have one replica, and few partitions, so that the first group does not wait for 50.
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '8',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '8',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // Topics are declared in schemas/topics.ts; a misspelt name must fail, not create a topic.
    'auto.create.topics.enable': 'false',
    // A group starts as soon as its first member has joined, and a test may request short sessions.
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    // A killed broker listens again after this session ends: 5 s instead of 12.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    // A transaction whose owner was killed holds up its partition until it is aborted: look for them every second.
    'transaction.max.timeout.ms': '60000',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'num.recovery.threads.per.data.dir': '2',
    // The compacted topics are small: 16 MiB deduplicate a million keys, the default takes 128 MiB of the heap.
    'log.cleaner.dedupe.buffer.size': '16777216',
    ...properties,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${escape(value)}\n`)
    .join('')
}

/** As java.util.Properties reads values: backslashes and line ends are special. */
const escape = (value: string): string => value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')

/** What the broker prints on stdout when it serves, and only then (KafkaRaftServer, after the broker is unfenced). */
export const STARTED = 'Kafka Server started'

/** Warnings and errors to a bounded file; on stdout the start message alone. */
export function log4jProperties(file: string): string {
  return `status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${escape(file)}
appender.file.filePattern = ${escape(file)}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{1} %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 16MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %m%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
logger.started.appenderRef.console.ref = console
`
}
