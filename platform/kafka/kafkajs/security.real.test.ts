// MI-11 on a real broker: with the right papers every kind of connection works, and each wrong one ends at once with a
// ConfigError that names the variable to set. None of it depends on how long anything takes: the client's own retries
// would end in another class of error.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PASSWORD, type SecureKafka, startSecureKafka, USER } from '../../../test/fixtures/secure-kafka.ts'
import { loadConfig } from '../../config.ts'
import { ConfigError, KafkaError } from '../../errors.ts'
import { connectKafka } from './client.ts'
import { RecordBatchBuilder } from '../record-batch/builder.ts'

type Env = Record<string, string>

let secure: SecureKafka
/** The authority that signed the broker's certificate. */
let trusted: Env
let logged: string

beforeAll(async () => {
  secure = await startSecureKafka()
  trusted = { KAFKA_TLS_CA_FILE: secure.authority.caFile }
})
afterAll(() => secure?.stop())

function connect(env: Env): ReturnType<typeof connectKafka> {
  logged = ''
  const log = pino({ level: 'trace' }, { write: (line: string) => void (logged += line) })
  return connectKafka(loadConfig(env), log)
}

const sasl = (mechanism: string, password = PASSWORD, username = USER): Env => ({
  KAFKA_BROKERS: secure.brokers.sasl,
  ...trusted,
  KAFKA_SASL_MECHANISM: mechanism,
  KAFKA_SASL_USERNAME: username,
  KAFKA_SASL_PASSWORD: password,
})

/** Writes and reads a record: more than a handshake. */
async function roundTrip(env: Env, topic: string): Promise<void> {
  const kafka = connect(env)
  const admin = await kafka.admin()
  const [producer, reader] = [await kafka.producer(), await kafka.rangeReader()]
  try {
    await admin.ensureTopics([{ name: topic, partitions: 1, configs: {} }])
    const records = new RecordBatchBuilder()
    records.add(Buffer.from('k'), Buffer.from('v'))
    const [offset] = await producer.send([{ topic, partition: 0, records }])
    let read = 0
    await reader.read({ topic, partition: 0 }, offset, offset + 1, (fetched) => {
      for (const batch of fetched.batches) read += batch.count
    })
    expect(read).toBe(1)
  } finally {
    await Promise.all([producer.close(), reader.close(), admin.close()])
  }
}

async function refusal(env: Env): Promise<string> {
  const error = await connect(env)
    .admin()
    .then(() => null)
    .catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(ConfigError)
  return (error as ConfigError).message
}

describe('MI-11: a broker that proves itself and asks for proof is used', () => {
  it('by TLS', () => roundTrip({ KAFKA_BROKERS: secure.brokers.tls, ...trusted }, 'by-tls'))

  it('by TLS with a client certificate', () =>
    roundTrip(
      {
        KAFKA_BROKERS: secure.brokers.mtls,
        ...trusted,
        KAFKA_TLS_CERT_FILE: secure.client.certFile,
        KAFKA_TLS_KEY_FILE: secure.client.keyFile,
      },
      'by-mtls',
    ))

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])('by SASL %s over TLS, the password in no line', async (how) => {
    await roundTrip(sasl(how), `by-${how}`)
    for (const secret of [PASSWORD, JSON.stringify(PASSWORD).slice(1, -1)]) expect(logged).not.toContain(secret)
  })
})

describe('MI-11: what is refused says what to set', () => {
  it('an authority that did not sign the broker', async () =>
    expect(await refusal({ KAFKA_BROKERS: secure.brokers.tls, KAFKA_TLS_CA_FILE: secure.stranger.caFile })).toMatch(
      /shows a certificate that none .* has signed \(.*\): set KAFKA_TLS_CA_FILE/,
    ))

  it('no client certificate where one is wanted', async () =>
    expect(await refusal({ KAFKA_BROKERS: secure.brokers.mtls, ...trusted })).toMatch(
      /refuses the TLS handshake \(.*alert.*\): .*KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE/,
    ))

  it('a client certificate of another authority', async () => {
    const foreign = await secure.stranger.issue('client')
    const env = { KAFKA_TLS_CERT_FILE: foreign.certFile, KAFKA_TLS_KEY_FILE: foreign.keyFile }
    expect(await refusal({ KAFKA_BROKERS: secure.brokers.mtls, ...trusted, ...env })).toContain('KAFKA_TLS_CERT_FILE')
  })

  it('a broker under a name that its certificate does not have', async () => {
    const brokers = secure.brokers.tls.replace('127.0.0.1', 'localhost')
    expect(await refusal({ KAFKA_BROKERS: brokers, ...trusted })).toMatch(/another name .*KAFKA_BROKERS/)
  })

  it('plain text to a port that wants TLS', async () =>
    expect(await refusal({ KAFKA_BROKERS: secure.brokers.tls })).toContain('wants TLS: set KAFKA_TLS_CA_FILE'))

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])('a wrong password or user by %s', async (how) => {
    for (const env of [sasl(how, 'wrong-password'), sasl(how, PASSWORD, 'nobody')]) {
      const said = await refusal(env)
      expect(said).toMatch(/does not accept user and password .*KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD/)
      expect(logged).toContain('authentication failed')
      expect(said + logged).not.toContain('wrong-password')
    }
  })

  it('a port without SASL is named as a mismatch', async () => {
    const connecting = connect({ ...sasl('plain'), KAFKA_BROKERS: secure.brokers.tls }).admin()
    await expect(connecting).rejects.toThrow(/KAFKA_SASL_\* may not be what this port of the broker wants/)
    await expect(connecting).rejects.toBeInstanceOf(KafkaError)
  })

  it('files that are missing, are no PEM or do not belong together', async () => {
    const junk = join(secure.folder, 'junk.pem')
    writeFileSync(junk, 'junk')
    const other = await secure.authority.issue('other')
    const files = (ca: string, cert?: string, key?: string): Env => ({
      KAFKA_TLS_CA_FILE: ca,
      ...(cert === undefined ? {} : { KAFKA_TLS_CERT_FILE: cert, KAFKA_TLS_KEY_FILE: key! }),
    })
    const { caFile } = secure.authority
    const { certFile, keyFile } = secure.client
    for (const [env, said] of [
      [files(join(secure.folder, 'none')), /^KAFKA_TLS_CA_FILE: the file cannot be read: ENOENT/],
      [files(junk), /^KAFKA_TLS_CA_FILE: .*junk.pem holds no PEM/],
      [files(caFile, certFile, junk), /^KAFKA_TLS_KEY_FILE: .*holds no PEM/],
      [files(caFile, certFile, other.keyFile), /^KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: expected/],
      [files(caFile, keyFile, certFile), /^KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: expected/],
    ] as const)
      expect(() => connect(env)).toThrow(said)
  })
})
