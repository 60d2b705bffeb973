// Whether the server answers. A page that goes on showing what it last heard must say so: an administrator who reads
// "signing normally" beside a dead server looks in the wrong place.
import { reactive } from 'vue'

/** An answer that takes longer makes the page say that it is waiting. */
const SLOW_MS = 4_000
/** So often a server that is away is asked whether it is back. */
const PROBE_MS = 3_000

/** `slow`: a question is waiting for its answer. `lost`: the last one got none; `heard` is when the last one did. */
export const reach = reactive<{ state: 'good' | 'slow' | 'lost'; heard: number }>({ state: 'good', heard: Date.now() })

let probe: (() => Promise<unknown>) | undefined
/** How one asks whether the server is back; its answer counts like any other. */
export function probeBy(ask: () => Promise<unknown>): void {
  probe = ask
}

const back = new Set<() => unknown>()
/** Called when the server answers again. Gives what takes the listener away. */
export function onBack(listener: () => unknown): () => void {
  back.add(listener)
  return () => { back.delete(listener) }
}

let timer: ReturnType<typeof setTimeout> | undefined
function ask(): void {
  clearTimeout(timer)
  timer = setTimeout(() => {
    if (reach.state !== 'lost') return
    Promise.resolve(probe?.()).catch(() => undefined).finally(ask)
  }, PROBE_MS)
}

/** The server said something. */
function answered(): void {
  const was = reach.state
  reach.state = 'good'
  reach.heard = Date.now()
  // Those of now: one that asks to be told again is told the next time.
  const now = [...back]
  if (was === 'lost') for (const listener of now) listener()
}

/** It did not. */
function unanswered(): void {
  if (reach.state === 'lost') return
  reach.state = 'lost'
  ask()
}

/** Watches over one question: `patient` for those that take long by their nature. `silent` tells that a failure was no answer. */
export async function watched<T>(question: () => Promise<T>, silent: (cause: unknown) => boolean, patient: boolean): Promise<T> {
  const waiting = patient ? undefined : setTimeout(() => { if (reach.state === 'good') reach.state = 'slow' }, SLOW_MS)
  try {
    const answer = await question()
    answered()
    return answer
  } catch (cause) {
    if (silent(cause)) unanswered()
    else answered()
    throw cause
  } finally {
    clearTimeout(waiting)
  }
}
