// News from the server: ids over SSE, and a poll beside it, so that a blocked stream costs seconds and not the truth.
import { onScopeDispose, reactive } from 'vue'

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

function tell(event: LiveEvent | undefined): void {
  for (const handler of handlers) handler(event)
}

function schedule(): void {
  clearTimeout(timer)
  if (handlers.size === 0) return
  timer = setTimeout(() => {
    if (known && document.visibilityState === 'visible' && line.online) tell(undefined)
    schedule()
  }, line.stream ? POLL_MS : POLL_WITHOUT_STREAM_MS)
}

function open(): void {
  if (!known || source || handlers.size === 0 || typeof EventSource === 'undefined') return
  const mine = new EventSource(watched ? `/api/v1/events?visit=${encodeURIComponent(watched)}` : '/api/v1/events')
  source = mine
  mine.onopen = () => {
    line.stream = true
    retryMs = 1_000
    tell(undefined)
    schedule()
  }
  const read = (message: MessageEvent<string>) => {
    try {
      const event = JSON.parse(message.data) as LiveEvent
      if (typeof event.kind === 'string') tell(event)
    } catch {
      tell(undefined)
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
    if (handlers.size > 0) retry = setTimeout(open, retryMs)
    retryMs = Math.min(retryMs * 2, 30_000)
  }
}

function close(): void {
  source?.close()
  source = undefined
  line.stream = false
  clearTimeout(timer)
  clearTimeout(retry)
}

if (typeof window !== 'undefined') {
  addEventListener('online', () => {
    line.online = true
    retryMs = 1_000
    tell(undefined)
    open()
  })
  addEventListener('offline', () => { line.online = false })
  addEventListener('pagehide', close)
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && handlers.size > 0) {
      tell(undefined)
      open()
      schedule()
    }
  })
}

/** The stream is for people who are signed in. */
export function streamFor(signedIn: boolean): void {
  known = signedIn
  if (known) open()
  else close()
  if (handlers.size > 0) schedule()
}

/** Hear also what concerns only those who have this visit open. Ends with the scope. */
export function watchVisit(id: string): void {
  watched = id
  if (source) {
    close()
    open()
    schedule()
  }
  onScopeDispose(() => { if (watched === id) watched = undefined })
}

/** Call `handler` at each event, and with `undefined` whenever something may have been missed. Ends with the scope. */
export function useLive(handler: Handler): void {
  handlers.add(handler)
  open()
  if (handlers.size === 1) schedule()
  onScopeDispose(() => {
    handlers.delete(handler)
    if (handlers.size === 0) close()
  })
}
