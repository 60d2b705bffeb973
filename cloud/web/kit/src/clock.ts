// One second hand for all countdowns of a page.
import { onScopeDispose, readonly, ref, type Ref } from 'vue'

const now = ref(Date.now())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** Milliseconds since the epoch, moving each second while somebody looks. */
export function useNow(): Readonly<Ref<number>> {
  users += 1
  now.value = Date.now()
  timer ??= setInterval(() => { now.value = Date.now() }, 1000)
  onScopeDispose(() => {
    users -= 1
    if (!users) {
      clearInterval(timer)
      timer = undefined
    }
  })
  return readonly(now)
}
