// The frame of a process with a broker that is away: order of the stop, failures, HTTP.
import { describe, expect, test, vi } from 'vitest'
import { loadConfig } from './config.ts'
import { createApp } from './http.ts'
import { connectKafka } from './kafka/kafkajs/client.ts'
import { createLog } from './log.ts'
import { type Build, serve } from './service.ts'

const config = loadConfig({ KAFKA_BROKERS: '127.0.0.1:1' })
const log = createLog('test', 'fatal')

function start(build: Build): { readonly stop: () => void; readonly ended: Promise<void> } {
  const controller = new AbortController()
  const given = { config, log, kafka: connectKafka(config, log), signal: controller.signal }
  return { stop: () => controller.abort(), ended: serve('test', given, build) }
}

describe('a service', () => {
  test('serves until it is stopped, then closes in reverse order', async () => {
    const closed: string[] = []
    const listening = Promise.withResolvers<number>()
    const { stop, ended } = start(async ({ http, health, listen, onStop }) => {
      onStop(() => closed.push('store'))
      onStop(async () => {
        await Promise.resolve()
        closed.push('sink')
      })
      health.add('store', () => ({ ready: true, detail: 'open' }))
      listening.resolve(await listen(createApp(http), 0))
    })
    const url = `http://127.0.0.1:${await listening.promise}/readyz`
    expect(await (await fetch(url)).json()).toEqual({
      ready: true,
      checks: { store: { ready: true, detail: 'open' } },
    })
    stop()
    await ended
    expect(closed).toEqual(['sink', 'store'])
    await expect(fetch(url)).rejects.toThrow()
  })

  test.each([
    ['its start', () => Promise.reject(new Error('broken'))],
    ['its work', () => Promise.resolve(() => Promise.reject(new Error('broken')))],
  ])('closes what is open when %s fails, and ends with that failure', async (_, fails) => {
    const close = vi.fn()
    const { ended } = start(({ onStop }) => {
      onStop(close)
      return fails()
    })
    await expect(ended).rejects.toThrow('broken')
    expect(close).toHaveBeenCalledOnce()
  })

  test('closes the rest when closing one part fails, and ends with that failure', async () => {
    const close = vi.fn()
    const { stop, ended } = start(({ onStop }) => {
      onStop(close)
      onStop(() => Promise.reject(new Error('disk full')))
      return Promise.resolve()
    })
    stop()
    await expect(ended).rejects.toThrow('disk full')
    expect(close).toHaveBeenCalledOnce()
  })

  test('its work ends it before any signal', async () => {
    await start(() => Promise.resolve(() => Promise.resolve())).ended
  })
})
