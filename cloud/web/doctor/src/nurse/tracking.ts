// Where the nurse is during a visit: positions gathered by the phone, kept on it until the server has them. A batch keeps its
// name when it is sent again, so that a lost answer costs nothing.
import { nurseApi } from '@yiqiao/kit/api/nursing'
import type { TrackPosition } from '@yiqiao/kit/api/types'
import { asApiError, freshKey } from '@yiqiao/kit/http'
import { onScopeDispose, reactive, watch, type Ref } from 'vue'

const EVERY_MS = 20_000
const MOST = 500
interface Kept { open: TrackPosition[]; batches: { batch: string; positions: TrackPosition[] }[] }
const key = (order: string) => `yiqiao.track.${order}`

function kept(order: string): Kept {
  try {
    const read = JSON.parse(localStorage.getItem(key(order)) ?? 'null') as Kept | null
    if (read && Array.isArray(read.open) && Array.isArray(read.batches)) return read
  } catch { /* unreadable: begins anew */ }
  return { open: [], batches: [] }
}
function keep(order: string, all: Kept): void {
  try {
    if (all.open.length || all.batches.length) localStorage.setItem(key(order), JSON.stringify(all))
    else localStorage.removeItem(key(order))
  } catch { /* a full phone keeps the newest in memory only */ }
}

/** A place as the server wants it. */
export function positionOf(got: GeolocationPosition): TrackPosition {
  const { latitude, longitude, accuracy } = got.coords
  return { at: new Date(got.timestamp).toISOString(), latitude, longitude, accuracy_m: accuracy }
}

/** Follows the phone while `on`. */
export function useTracking(order: string, on: Ref<boolean>) {
  const state = reactive<{ stage: 'off' | 'waiting' | 'on' | 'denied' | 'unsupported'; waiting: number; last: TrackPosition | undefined }>({ stage: 'off', waiting: 0, last: undefined })
  const all = kept(order)
  let watching: number | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  let sending = false
  const count = () => { state.waiting = all.open.length + all.batches.reduce((n, b) => n + b.positions.length, 0) }
  count()

  async function flush(): Promise<void> {
    if (sending) return
    if (all.open.length) {
      all.batches.push({ batch: freshKey(), positions: all.open.splice(0, MOST) })
      keep(order, all)
    }
    sending = true
    try {
      for (let first = all.batches[0]; first; first = all.batches[0]) {
        try {
          await nurseApi.track(order, { batch: first.batch, sent_at: new Date().toISOString(), positions: first.positions })
        } catch (cause) {
          const error = asApiError(cause)
          if (error.temporary || error.status === 401) break
          // What the server will never take must not hold up what comes after it.
        }
        all.batches.shift()
        keep(order, all)
      }
    } finally {
      sending = false
      count()
    }
  }
  function begin(): void {
    if (watching !== undefined) return
    if (!('geolocation' in navigator)) { state.stage = 'unsupported'; return }
    state.stage = 'waiting'
    watching = navigator.geolocation.watchPosition((got) => {
      state.stage = 'on'
      state.last = positionOf(got)
      if (all.open.at(-1)?.at !== state.last.at) all.open.push(state.last)
      keep(order, all)
      count()
      if (all.open.length === 1 && all.batches.length === 0) void flush()
    }, (error) => { state.stage = error.code === error.PERMISSION_DENIED ? 'denied' : 'waiting' }, { enableHighAccuracy: true, maximumAge: 5_000, timeout: 60_000 })
    timer = setInterval(() => void flush(), EVERY_MS)
  }
  function end(): void {
    if (watching !== undefined) navigator.geolocation.clearWatch(watching)
    clearInterval(timer)
    watching = undefined
    state.stage = 'off'
    void flush()
  }
  const online = () => void flush()
  addEventListener('online', online)
  watch(on, (now) => { if (now) begin(); else end() }, { immediate: true })
  onScopeDispose(() => {
    removeEventListener('online', online)
    if (watching !== undefined) navigator.geolocation.clearWatch(watching)
    clearInterval(timer)
  })
  return { state, flush }
}
