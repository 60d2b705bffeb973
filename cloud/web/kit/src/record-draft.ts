// A medical record being written: saved by itself on top of the version that was seen. What could not be saved stays on this
// device, and when another window was faster both texts are kept until the doctor chooses.
import { onScopeDispose, reactive, ref, shallowRef, watch } from 'vue'
import type { Record_, SavedRecord } from './api/types'
import { asApiError, type ApiError } from './http'

/** Where the record is read and written. */
export interface RecordDesk {
  read: () => Promise<SavedRecord>
  /** Fails with `record_changed` when the newest version is not `basedOn`. */
  write: (record: Record_, basedOn: number) => Promise<SavedRecord>
}
/** Two texts of one record: the newest saved one, and the one on this screen that is not saved. */
export interface TwoTexts {
  theirs: SavedRecord
  mine: Record_
}
type Keeper = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

const TEXTS = ['chief_complaint', 'present_history', 'past_history', 'allergies', 'examination', 'advice'] as const
const copy = (from: Partial<Record_>): Record_ => ({
  chief_complaint: from.chief_complaint ?? '', present_history: from.present_history ?? '', past_history: from.past_history ?? '', allergies: from.allergies ?? '',
  examination: from.examination ?? '', advice: from.advice ?? '', diagnoses: (from.diagnoses ?? []).map((d) => ({ code: d.code, name: d.name, main: d.main === true })),
})
const said = (r: Record_) => JSON.stringify([TEXTS.map((key) => r[key]), r.diagnoses.map((d) => [d.code, d.main === true])])
const same = (a: Record_, b: Record_) => said(a) === said(b)

function kept(keeper: Keeper, place: string): { record: Record_; basedOn: number } | undefined {
  try {
    const found = JSON.parse(keeper.getItem(place) ?? 'null') as { record?: Partial<Record_>; basedOn?: number } | null
    return found?.record ? { record: copy(found.record), basedOn: found.basedOn ?? 0 } : undefined
  } catch {
    return undefined
  }
}

/** The draft of a record. `pause` is the time after the last key before it is saved, in ms. */
export function useRecordDraft(place: string, desk: RecordDesk, options: { keeper?: Keeper; pause?: number } = {}) {
  const { keeper = sessionStorage, pause = 900 } = options
  const form = reactive<Record_>(copy({}))
  const status = ref<'clean' | 'dirty' | 'saving' | 'saved' | 'failed' | 'conflict'>('clean')
  const saved = shallowRef<SavedRecord>()
  const fault = shallowRef<ApiError>()
  const both = shallowRef<TwoTexts>()
  /** Which of the two is on the screen. */
  const looking = ref<'mine' | 'theirs'>('mine')
  let basedOn = 0
  let listening = false
  let again = false
  let unanswered: Record_ | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  function fill(from: Record_) {
    listening = false
    Object.assign(form, copy(from))
    listening = true
  }
  const keep = () => keeper.setItem(place, JSON.stringify({ basedOn, record: form }))
  function took(got: SavedRecord) {
    saved.value = got
    basedOn = got.version
    unanswered = undefined
    fault.value = undefined
    status.value = 'saved'
    if (again) keep()
    else keeper.removeItem(place)
  }
  function part(theirs: SavedRecord, mine: Record_, show: 'mine' | 'theirs') {
    clearTimeout(timer)
    saved.value = theirs
    both.value = { theirs, mine: copy(mine) }
    status.value = 'conflict'
    fault.value = undefined
    look(show)
  }
  /** Another version is the newest: perhaps our own, whose answer was lost; else there are two texts now. */
  async function meet() {
    const theirs = await desk.read()
    if (unanswered && same(theirs, unanswered)) {
      took(theirs)
      again = !same(theirs, form)
    } else if (same(theirs, form)) took(theirs)
    else part(theirs, form, 'mine')
  }

  /** Reads the newest version; a draft that was left on this device goes on, or is offered when the record went on without it. */
  async function load(editable: boolean) {
    const got = await desk.read()
    const draft = kept(keeper, place)
    saved.value = got
    basedOn = got.version
    fill(got)
    if (!draft || same(draft.record, got)) keeper.removeItem(place)
    else if ((editable || got.editable) && draft.basedOn === got.version) {
      fill(draft.record)
      void save()
    } else {
      basedOn = draft.basedOn
      part(got, draft.record, 'theirs')
    }
  }
  async function save(): Promise<void> {
    clearTimeout(timer)
    if (both.value) return
    again = status.value === 'saving'
    if (again) return
    do {
      again = false
      status.value = 'saving'
      const sent = copy(form)
      try {
        try {
          took(await desk.write(sent, basedOn))
        } catch (cause) {
          const error = asApiError(cause)
          if (error.code !== 'record_changed') {
            if (error.temporary) unanswered = sent
            throw error
          }
          await meet()
        }
      } catch (cause) {
        fault.value = asApiError(cause)
        status.value = 'failed'
      }
    } while (again && !both.value)
  }
  watch(form, () => {
    if (!listening || (both.value && looking.value === 'theirs')) return
    keep()
    if (both.value) {
      both.value = { ...both.value, mine: copy(form) }
      return
    }
    if (status.value === 'saving') again = true
    else status.value = 'dirty'
    clearTimeout(timer)
    timer = setTimeout(() => void save(), pause)
  }, { deep: true, flush: 'sync' })

  /** Puts one of the two texts on the screen; the other one stays. */
  function look(which: 'mine' | 'theirs') {
    if (!both.value) return
    looking.value = which
    fill(which === 'mine' ? both.value.mine : both.value.theirs)
  }
  /** Saves the text of this screen on top of the newest version, which stays as a version of its own. */
  async function overwrite() {
    if (!both.value) return
    const { theirs, mine } = both.value
    both.value = undefined
    looking.value = 'mine'
    basedOn = theirs.version
    fill(mine)
    keep()
    status.value = 'dirty'
    await save()
  }
  /** Goes on with the newest version; the text of this screen is given up. */
  function adopt() {
    if (!both.value) return
    const { theirs } = both.value
    both.value = undefined
    looking.value = 'mine'
    fill(theirs)
    took(theirs)
    status.value = 'clean'
  }
  onScopeDispose(() => {
    clearTimeout(timer)
    if (status.value === 'dirty') void save()
  })
  return { form, status, saved, fault, both, looking, load, save, meet, look, overwrite, adopt }
}
