import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { afterOutage, afterSuccess, atTime, type BreakerState, CLOSED } from './breaker.ts'

const POLICY = { inARow: 3, window: 10, share: 0.5 }
const OPEN_MS = 100

/** `s` success, `o` outage, both tried at the time that has come; `.` a tenth of OPEN_MS passes. */
function play(script: string): string {
  let state: BreakerState = CLOSED
  let nowMs = 0
  const seen: string[] = []
  for (const step of script) {
    if (step === '.') nowMs += OPEN_MS / 10
    state = atTime(state, nowMs)
    if (step === 's' && state.kind !== 'open') state = afterSuccess(state, POLICY)
    if (step === 'o' && state.kind !== 'open') state = afterOutage(state, nowMs + OPEN_MS, POLICY)
    if (seen.at(-1) !== state.kind) seen.push(state.kind)
  }
  return seen.join(' ')
}

describe('EM-5: breaker', () => {
  it.each([
    ['stays closed while all goes well', 'ssss', 'closed'],
    ['stays closed for fewer outages in a row than it takes', 'oosoosoos', 'closed'],
    ['opens at the last of the outages in a row', 'ooo', 'closed open'],
    ['opens at half of the latest outcomes, though never three in a row', 'sososososo', 'closed open'],
    ['does not judge the share of too few outcomes', 'ososo', 'closed'],
    ['lets nothing through before its time', 'ooo.........sss', 'closed open'],
    ['asks for a probe at its time', 'ooo..........', 'closed open half-open'],
    ['closes by a probe that succeeds', 'ooo..........s', 'closed open half-open closed'],
    ['opens again by a probe that fails', 'ooo..........o', 'closed open half-open open'],
    ['starts over once it has closed', 'ooo..........soo', 'closed open half-open closed'],
  ])('%s', (_name, script, states) => {
    expect(play(script)).toBe(states)
  })

  it('counts the probes that failed, by which the waits grow', () => {
    let state = afterOutage({ kind: 'half-open', failedProbes: 4 }, 700, POLICY)
    expect(state).toEqual({ kind: 'open', probeAtMs: 700, failedProbes: 5 })
    expect(atTime(state, 699)).toBe(state)
    state = atTime(state, 700)
    expect(state).toEqual({ kind: 'half-open', failedProbes: 5 })
  })

  it('refuses an outcome of what it did not let through', () => {
    const open: BreakerState = { kind: 'open', probeAtMs: 1, failedProbes: 0 }
    expect(() => afterSuccess(open, POLICY)).toThrow('nothing can succeed')
    expect(() => afterOutage(open, 2, POLICY)).toThrow('nothing can fail')
  })

  it('whatever happens: memory is bounded, nothing passes before its time, and one success in time closes it', () => {
    const step = fc.record({ outage: fc.boolean(), passMs: fc.nat(3 * OPEN_MS) })
    check(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let state: BreakerState = CLOSED
        let nowMs = 0
        for (const { outage, passMs } of steps) {
          nowMs += passMs
          const before: BreakerState = state
          state = atTime(state, nowMs)
          if (before.kind === 'open') expect(state.kind !== 'open').toBe(nowMs >= before.probeAtMs)
          if (!(state.kind !== 'open')) continue
          state = outage ? afterOutage(state, nowMs + OPEN_MS, POLICY) : afterSuccess(state, POLICY)
          if (!outage) expect(state.kind).toBe('closed')
          if (state.kind === 'closed') {
            expect(state.inARow).toBeLessThan(POLICY.inARow)
            expect(state.outcomes.length).toBeLessThanOrEqual(POLICY.window)
          }
        }
      }),
    )
  })
})
