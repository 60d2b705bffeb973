// Reading with a deadline: first load, quiet refresh, failure with words and a way to try again.
import { computed, onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef, type WatchSource } from 'vue'
import { asApiError, type ApiError } from './http'
import { useLive, type LiveEvent } from './live'

/** What a page shows of something it reads. */
export interface Loaded<T> {
  /** What was read last. A page may put the answer of an act here: it is newer than any read that is under way. */
  data: ShallowRef<T | undefined>
  error: ShallowRef<ApiError | undefined>
  /** A load is under way. */
  pending: Ref<boolean>
  /** Load again; a quiet load keeps old data on failure without showing it as an error. Ends when the page shows this read or a newer one. */
  reload: (quiet?: boolean) => Promise<void>
}

/** Options of [`useLoad`]. */
export interface LoadOptions {
  /** Load again, from empty, when this changes. */
  on?: WatchSource | WatchSource[]
  /** Load again, quietly, at events for which this answers true, and at each poll. */
  live?: boolean | ((event: LiveEvent) => boolean)
  /** Wait for the first `reload()`. */
  lazy?: boolean
}

/** Read something for a page. */
export function useLoad<T>(read: () => Promise<T>, options: LoadOptions = {}): Loaded<T> {
  const held = shallowRef<T>()
  const error = shallowRef<ApiError>()
  const pending = ref(false)
  let turn = 0
  /** The last turn that has ended; while it is not the newest one, a read is under way. */
  let ended = 0
  // News that comes while it is read may be newer than the answer: it is read once more, after this one, so that much news cannot keep the page from showing any.
  let missed = false
  let newest: Promise<void> = Promise.resolve()
  // No answer is the newest one's any more.
  onScopeDispose(() => { turn = NaN })

  const data = computed<T | undefined>({
    get: () => held.value,
    set(put) {
      held.value = put
      // What is under way may have been asked before.
      if (ended < turn) void reload(true)
    },
  })

  async function once(mine: number, quiet: boolean): Promise<void> {
    if (!quiet) {
      pending.value = true
      error.value = undefined
    }
    try {
      const got = await read()
      if (mine !== turn) return
      held.value = got
      error.value = undefined
    } catch (cause) {
      if (mine === turn && (!quiet || held.value === undefined)) error.value = asApiError(cause)
    }
    if (mine !== turn) return
    pending.value = false
    ended = mine
    if (missed) void reload(true)
  }
  function reload(quiet = false): Promise<void> {
    missed = false
    const mine = ++turn
    // Overtaken, it ends with the one that came after it.
    newest = once(mine, quiet).then(() => (mine < turn ? newest : undefined))
    return newest
  }

  if (options.on) watch(options.on, () => { held.value = undefined; void reload() }, { deep: true })
  const wanted = options.live
  if (wanted) {
    let waiting: ReturnType<typeof setTimeout> | undefined
    useLive((event) => {
      if (event && typeof wanted === 'function' && !wanted(event)) return
      clearTimeout(waiting)
      waiting = setTimeout(() => {
        missed = ended < turn
        if (!missed) void reload(true)
      }, event ? 60 : 0)
    })
    onScopeDispose(() => clearTimeout(waiting))
  }
  if (!options.lazy) void reload()
  return { data, error, pending, reload }
}

/** An act of the person: runs once at a time, keeps its failure for the page to show. */
export function useAct<A extends unknown[], R>(act: (...args: A) => Promise<R>): {
  busy: Ref<boolean>
  error: ShallowRef<ApiError | undefined>
  run: (...args: A) => Promise<R | undefined>
} {
  const busy = ref(false)
  const error = shallowRef<ApiError>()
  async function run(...args: A): Promise<R | undefined> {
    if (busy.value) return undefined
    busy.value = true
    error.value = undefined
    try {
      return await act(...args)
    } catch (cause) {
      error.value = asApiError(cause)
    } finally {
      busy.value = false
    }
    return undefined
  }
  return { busy, error, run }
}
