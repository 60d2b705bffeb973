// Reading with a deadline: first load, quiet refresh, failure with words and a way to try again.
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef, type WatchSource } from 'vue'
import { asApiError, type ApiError } from './http'
import { useLive, type LiveEvent } from './live'

/** What a page shows of something it reads. */
export interface Loaded<T> {
  data: ShallowRef<T | undefined>
  error: ShallowRef<ApiError | undefined>
  /** A load is under way. */
  pending: Ref<boolean>
  /** Load again; a quiet load keeps old data on failure without showing it as an error. */
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
  const data = shallowRef<T>()
  const error = shallowRef<ApiError>()
  const pending = ref(false)
  let turn = 0
  let alive = true
  onScopeDispose(() => { alive = false })

  async function reload(quiet = false): Promise<void> {
    const mine = ++turn
    if (!quiet) {
      pending.value = true
      error.value = undefined
    }
    try {
      const got = await read()
      if (mine !== turn || !alive) return
      data.value = got
      error.value = undefined
    } catch (cause) {
      if (mine !== turn || !alive) return
      if (!quiet || data.value === undefined) error.value = asApiError(cause)
    } finally {
      if (mine === turn) pending.value = false
    }
  }

  if (options.on) watch(options.on, () => { data.value = undefined; void reload() }, { deep: true })
  const wanted = options.live
  if (wanted) {
    let waiting: ReturnType<typeof setTimeout> | undefined
    useLive((event) => {
      if (pending.value || (event && typeof wanted === 'function' && !wanted(event))) return
      clearTimeout(waiting)
      waiting = setTimeout(() => void reload(true), event ? 60 : 0)
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
      return undefined
    } finally {
      busy.value = false
    }
  }
  return { busy, error, run }
}
