// What must exist before any service starts in containers: the token that their HTTP surfaces require, and the topics.
// It runs at every start and changes nothing that is already right. A token is generated once and stays in its volume;
// API_TOKEN, where the operator sets it, takes its place (the other containers read it when they start).
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { loadConfig } from '../../../platform/config.ts'
import { ConfigError } from '../../../platform/errors.ts'
import { connectKafka } from '../../../platform/kafka/kafkajs/client.ts'
import { runMain } from '../../../platform/lifecycle.ts'
import { createLog } from '../../../platform/log.ts'
import { TOPICS } from '../../../schemas/topics.ts'

/** 256 bits: beyond guessing at any rate of requests. */
const TOKEN_BYTES = 32

runMain(async () => {
  const { API_TOKEN_FILE: file, API_TOKEN: wanted, ...env } = process.env
  if (!file) throw new ConfigError('API_TOKEN_FILE is not set: it names the file to which the token is written')
  const token = wanted?.trim() || existing(file) || randomBytes(TOKEN_BYTES).toString('base64url')
  if (token !== existing(file)) write(file, token)

  const config = loadConfig({ ...env, API_TOKEN: token })
  const log = createLog('setup', config.LOG_LEVEL)
  const admin = await connectKafka(config, log).admin()
  try {
    const partitions = { data: config.TOPIC_PARTITIONS, one: 1 }
    await admin.ensureTopics(
      TOPICS.map(({ name, partitioning, configs }) => ({ name, partitions: partitions[partitioning], configs })),
    )
  } finally {
    await admin.close()
  }
  log.info({ topics: TOPICS.length, tokenFile: file }, 'token and topics are there')
})

function existing(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
}

/** Written atomically. Prometheus and Grafana run as other users: anyone with access to the volume may read it. */
function write(file: string, token: string): void {
  writeFileSync(`${file}.new`, token)
  chmodSync(`${file}.new`, 0o444)
  renameSync(`${file}.new`, file)
}
