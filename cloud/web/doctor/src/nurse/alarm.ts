// 一键报警: a press is kept on the phone and repeated until the desk has answered, through lost lines and reloaded pages.
import { nurseApi } from '@yiqiao/kit/api/nursing'
import type { NursingAlarm, TrackPosition } from '@yiqiao/kit/api/types'
import { asApiError, freshKey } from '@yiqiao/kit/http'
import { reactive } from 'vue'
import { positionOf } from './tracking'

const KEY = 'yiqiao.alarm'
const AGAIN_MS = 3_000
interface Press { press: string; pressed_at: string; order: string; place: TrackPosition | undefined }

/** The alarm under way; `sent` once the server has it, `answer` what it last said. */
export const sos = reactive<{ press: Press | undefined; sent: boolean; answer: NursingAlarm | undefined; trouble: string }>({ press: read(), sent: false, answer: undefined, trouble: '' })

function read(): Press | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Press | null
    return kept && typeof kept.press === 'string' ? kept : undefined
  } catch { return undefined }
}
function keep(press: Press | undefined): void {
  sos.press = press
  try {
    if (press) localStorage.setItem(KEY, JSON.stringify(press))
    else localStorage.removeItem(KEY)
  } catch { /* repeated from memory while the page stands */ }
}

let timer: ReturnType<typeof setTimeout> | undefined
let sending = false
async function send(): Promise<void> {
  clearTimeout(timer)
  const press = sos.press
  if (!press || sending) return
  sending = true
  try {
    const answer = await nurseApi.alarm({ ...press, sent_at: new Date().toISOString(), place: press.place ?? null })
    sos.sent = true
    sos.trouble = ''
    sos.answer = answer
    if (answer.state === 'closed') keep(undefined)
  } catch (cause) {
    sos.trouble = asApiError(cause).message
  } finally {
    sending = false
    if (sos.press) timer = setTimeout(() => void send(), AGAIN_MS)
  }
}
function locate(): void {
  if (!('geolocation' in navigator)) return
  navigator.geolocation.getCurrentPosition((got) => {
    if (!sos.press) return
    keep({ ...sos.press, place: positionOf(got) })
    void send()
  }, () => undefined, { enableHighAccuracy: true, maximumAge: 15_000, timeout: 20_000 })
}

/** Calls the desk: at once with what is known, then with the place. */
export function raise(order: string, place?: TrackPosition): void {
  if (sos.press) return
  sos.sent = false
  sos.answer = undefined
  sos.trouble = ''
  keep({ press: freshKey(), pressed_at: new Date().toISOString(), order, place })
  void send()
  locate()
}
/** Goes on with what an earlier page could not send. */
export function resume(): void {
  if (sos.press) void send()
}
if (typeof window !== 'undefined') addEventListener('online', () => void send())
