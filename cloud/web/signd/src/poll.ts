import { onScopeDispose } from 'vue'
import { session } from './session'

/** Asks again every so often while somebody is signed in and looks. A poll that takes long delays the next one. */
export function usePoll(ask: () => Promise<void>, everyMs: number): void {
  let timer: ReturnType<typeof setTimeout>
  let alive = true
  const next = () => {
    timer = setTimeout(async () => {
      if (session.state === 'in' && document.visibilityState === 'visible') await ask().catch(() => undefined)
      if (alive) next()
    }, everyMs)
  }
  next()
  onScopeDispose(() => {
    alive = false
    clearTimeout(timer)
  })
}
