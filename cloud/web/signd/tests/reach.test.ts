import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { onBack, probeBy, reach, watched } from '../src/reach'

const silence = new Error('no answer')
const refusal = new Error('refused')
const ask = (question: () => Promise<unknown>, patient = false) => watched(question, (cause) => cause === silence, patient).catch((cause: unknown) => cause)

describe('whether the server answers', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(async () => {
    probeBy(() => Promise.resolve())
    await ask(() => Promise.resolve())
    vi.useRealTimers()
  })

  it('waiting is said after a while, but not of what takes long by its nature', async () => {
    let say: (words: string) => void = () => undefined
    const answer = new Promise<string>((resolve) => { say = resolve })
    const patient = ask(() => answer, true)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(reach.state).toBe('good')
    const asked = ask(() => answer)
    await vi.advanceTimersByTimeAsync(3_900)
    expect(reach.state).toBe('good')
    await vi.advanceTimersByTimeAsync(200)
    expect(reach.state).toBe('slow')
    say('here')
    expect(await asked).toBe('here')
    await patient
    expect(reach.state).toBe('good')
  })

  it('a refusal is an answer', async () => {
    expect(await ask(() => Promise.reject(refusal))).toBe(refusal)
    expect(reach.state).toBe('good')
  })

  it('a server that is away is asked until it is back, and who waits is told once', async () => {
    const told = vi.fn()
    const stop = onBack(told)
    let up = false
    const probe = vi.fn(() => ask(() => (up ? Promise.resolve() : Promise.reject(silence))))
    probeBy(probe)
    await ask(() => Promise.reject(silence))
    expect(reach.state).toBe('lost')
    await vi.advanceTimersByTimeAsync(6_500)
    expect(probe).toHaveBeenCalledTimes(2)
    expect(told).not.toHaveBeenCalled()
    up = true
    await vi.advanceTimersByTimeAsync(3_000)
    expect(reach.state).toBe('good')
    expect(told).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(probe).toHaveBeenCalledTimes(3)
    stop()
  })
})
