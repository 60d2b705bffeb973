// What has been chosen so far on the way to a follow-up visit. Survives a reload of the page, not the closing of the tab.
import { freshKey } from '@yiqiao/kit/http'
import { onChangeOfHands } from '@yiqiao/kit/session'
import type { Consent, Department, Doctor, Patient, Purpose, Slot, Statement } from '@yiqiao/kit/api/types'
import { reactive, watch } from 'vue'

interface Booking {
  key: string
  purpose: Purpose
  patient?: Patient
  department?: Department
  doctor?: Doctor
  slot?: Slot
  consent?: Pick<Consent, 'id' | 'version'>
  statement: Statement
  photos: string[]
}

const PLACE = 'yiqiao.booking'
const empty = (): Booking => ({
  key: freshKey(), purpose: 'follow_up', photos: [],
  statement: { complaint: '', duration: '', history: '', allergies: '', medications: '' },
})

function stored(): Booking {
  try {
    const text = sessionStorage.getItem(PLACE)
    return text ? { ...empty(), ...(JSON.parse(text) as Booking) } : empty()
  } catch {
    return empty()
  }
}

/** The booking in progress. */
export const booking = reactive<Booking>(stored())
watch(booking, (now) => sessionStorage.setItem(PLACE, JSON.stringify(now)), { deep: true })

/** Begin anew. */
export function startBooking(purpose: Purpose): void {
  for (const key of ['patient', 'department', 'doctor', 'slot', 'consent'] as const) delete booking[key]
  Object.assign(booking, empty(), { purpose })
}

// What somebody wrote about their illness is not the next person's.
onChangeOfHands(() => startBooking('follow_up'))

/** A changed choice makes another order: it gets its own key, so that a repeat can only repeat the same order. */
export function rekey(): void {
  booking.key = freshKey()
}

const STEPS = ['book', 'book-department', 'book-doctor', 'book-slot', 'book-consent', 'book-statement', 'book-confirm'] as const
/** The first step that still lacks its choice, for people who come by address or after a reload. */
export function firstOpenStep(): (typeof STEPS)[number] {
  if (!booking.patient) return 'book'
  if (!booking.department) return 'book-department'
  if (!booking.doctor) return 'book-doctor'
  if (!booking.slot) return 'book-slot'
  if (!booking.consent) return 'book-consent'
  return booking.statement.complaint ? 'book-confirm' : 'book-statement'
}
/** Whether `step` may be shown now. */
export function reachable(step: (typeof STEPS)[number]): boolean {
  return STEPS.indexOf(step) <= STEPS.indexOf(firstOpenStep())
}
/** Number of steps and the place of one. */
export function place(step: (typeof STEPS)[number]): { at: number; of: number } {
  return { at: STEPS.indexOf(step) + 1, of: STEPS.length }
}
