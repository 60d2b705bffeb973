// News from the server: ids over SSE, and a poll beside it, so that a blocked stream costs seconds and not the truth.
import { onScopeDispose, reactive } from 'vue'
import { asWhom } from './http'

/** Something changed; the apps fetch it again. */
export interface LiveEvent {
  kind: string
  id: string
}
type Handler = (event: LiveEvent | undefined) => void

/** How the connection stands. */
export const line = reactive({ online: typeof navigator === 'undefined' || navigator.onLine, stream: false })

const POLL_MS = 15_000
const POLL_WITHOUT_STREAM_MS = 5_000
const handlers = new Set<Handler>()
let source: EventSource | undefined
let timer: ReturnType<typeof setTimeout> | undefined
let retryMs = 1_000
let retry: ReturnType<typeof setTimeout> | undefined
let watched: string | undefined
let known = false

// A browser opens six connections to a host at once, for all tabs together: a stream in each tab would leave none to load
// a seventh page. So many tabs have one, the others poll; a tab nobody looks at gives its place back.
const PLACES = 4
const HIDDEN_MS = 30_000
let giveBack: (() => void) | undefined
let opening = false
let placeless = false
let hidden: ReturnType<typeof setTimeout> | undefined

function take(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const held = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(false)
      const kept = new Promise<void>((done) => { giveBack = done })
      resolve(true)
      return kept
    })
    held.catch(() => resolve(false))
  })
}
/** Whether this tab may have a stream; where tabs cannot agree, each has one. */
async function place(): Promise<boolean> {
  if (giveBack || !navigator.locks) return true
  for (let n = 0; n < PLACES; n += 1) if (await take(`yiqiao.stream.${n}`)) return true
  return false
}

function tell(event?: LiveEvent): void {
  for (const handler of handlers) handler(event)
}

function schedule(): void {
  clearTimeout(timer)
  if (!handlers.size) return
  timer = setTimeout(() => {
    if (known && document.visibilityState === 'visible' && line.online) {
      tell()
      if (placeless) void open()
    }
    schedule()
  }, line.stream ? POLL_MS : POLL_WITHOUT_STREAM_MS)
}

const wanted = () => known && !source && handlers.size > 0 && typeof EventSource !== 'undefined'

async function open(): Promise<void> {
  if (!wanted() || opening) return
  opening = true
  const placed = await place()
  opening = false
  placeless = !placed
  if (placed && wanted()) listen()
  else if (!source) leave()
}

function leave(): void {
  giveBack?.()
  giveBack = undefined
}

function listen(): void {
  // A stream carries no headers of ours: as whom it asks goes into the address.
  const query = Object.entries({ visit: watched, as: asWhom() }).flatMap(([key, value]) => (value ? [`${key}=${encodeURIComponent(value)}`] : []))
  const mine = new EventSource(query.length ? `/api/v1/events?${query.join('&')}` : '/api/v1/events')
  source = mine
  mine.onopen = () => {
    line.stream = true
    retryMs = 1_000
    tell()
    schedule()
  }
  const read = (message: MessageEvent<string>) => {
    try {
      const event = JSON.parse(message.data) as LiveEvent
      if (typeof event.kind === 'string') tell(event)
    } catch {
      tell()
    }
  }
  mine.onmessage = read
  mine.addEventListener('change', read as EventListener)
  mine.onerror = () => {
    mine.close()
    source = undefined
    line.stream = false
    schedule()
    clearTimeout(retry)
    if (handlers.size > 0) retry = setTimeout(() => void open(), retryMs)
    retryMs = Math.min(retryMs * 2, 30_000)
  }
}

function close(): void {
  source?.close()
  source = undefined
  line.stream = false
  clearTimeout(timer)
  clearTimeout(retry)
  leave()
}

if (typeof window !== 'undefined') {
  addEventListener('online', () => {
    line.online = true
    retryMs = 1_000
    tell()
    void open()
  })
  addEventListener('offline', () => { line.online = false })
  addEventListener('pagehide', close)
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hidden)
    if (document.visibilityState === 'hidden') hidden = setTimeout(close, HIDDEN_MS)
    else if (handlers.size > 0) {
      tell()
      void open()
      schedule()
    }
  })
}

/** The stream is for people who are signed in. */
export function streamFor(signedIn: boolean): void {
  known = signedIn
  if (known) void open()
  else close()
  if (handlers.size > 0) schedule()
}

/** Hear also what concerns only those who have this visit open. Ends with the scope. */
export function watchVisit(id: string): void {
  watched = id
  if (source) {
    close()
    void open()
    schedule()
  }
  onScopeDispose(() => { if (watched === id) watched = undefined })
}

/** Call `handler` at each event, and with `undefined` whenever something may have been missed. Ends with the scope. */
export function useLive(handler: Handler): void {
  handlers.add(handler)
  void open()
  if (handlers.size === 1) schedule()
  onScopeDispose(() => {
    handlers.delete(handler)
    if (!handlers.size) close()
  })
}
