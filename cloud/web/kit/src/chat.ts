// Messages of a visit: fetched after the last known one, sent with a key so that a repeat is the same message.
import { computed, reactive, ref, shallowRef, type Ref } from 'vue'
import { room } from './api/visits'
import type { Message, NewMessage } from './api/types'
import { asApiError, freshKey, type ApiError } from './http'
import { useLive } from './live'
import { onChangeOfHands } from './session'

/** A message not yet taken by the server. */
export interface Outgoing {
  client_id: string
  kind: NewMessage['kind']
  text?: string
  blob?: Blob
  blob_id?: string
  duration_s?: number
  local?: string
  failed?: string
}

/** What a person wrote that the server does not have: it outlives the page, so that leaving the room or signing in again loses no words. */
interface Unsent {
  outgoing: Outgoing[]
  text: Ref<string>
}
const unsent = new Map<string, Unsent>()
function unsentOf(visit: string): Unsent {
  const kept = unsent.get(visit) ?? { outgoing: reactive<Outgoing[]>([]), text: ref('') }
  unsent.set(visit, kept)
  return kept
}
onChangeOfHands(() => {
  for (const { outgoing } of unsent.values()) outgoing.forEach(release)
  unsent.clear()
})
function release(item: Outgoing): void {
  if (item.local) URL.revokeObjectURL(item.local)
}

/** The conversation of one visit. */
export function useChat(visit: string) {
  const messages = shallowRef<Message[]>([])
  const { outgoing, text } = unsentOf(visit)
  const error = shallowRef<ApiError>()
  const ready = ref(false)
  let running = false
  let again = false

  async function fetchNew(): Promise<void> {
    if (running) {
      again = true
      return
    }
    running = true
    try {
      const last = messages.value.at(-1)?.seq ?? 0
      const got = await room.messages(visit, last)
      const fresh = got.filter((m) => m.seq > last)
      if (fresh.length > 0) messages.value = [...messages.value, ...fresh]
      ready.value = true
      error.value = undefined
    } catch (cause) {
      error.value = asApiError(cause)
    } finally {
      running = false
    }
    if (again) {
      again = false
      await fetchNew()
    }
  }

  async function push(item: Outgoing): Promise<void> {
    item.failed = undefined
    try {
      if (item.blob && !item.blob_id) {
        const suffix = item.blob.type.split('/')[1] ?? 'bin'
        item.blob_id = (await room.upload(item.blob, item.kind === 'voice' ? 'voice' : 'chat', `${item.kind}.${suffix}`)).id
      }
      await room.say(visit, { client_id: item.client_id, kind: item.kind, text: item.text, blob_id: item.blob_id, duration_s: item.duration_s })
      await fetchNew()
      const at = outgoing.findIndex((o) => o.client_id === item.client_id)
      if (at >= 0) outgoing.splice(at, 1)
      release(item)
    } catch (cause) {
      item.failed = asApiError(cause).message
    }
  }

  function send(message: Omit<Outgoing, 'client_id'>): void {
    outgoing.push({ ...message, client_id: freshKey(), local: message.blob ? URL.createObjectURL(message.blob) : undefined })
    const item = outgoing.at(-1)
    if (item) void push(item)
  }

  function drop(item: Outgoing): void {
    const at = outgoing.indexOf(item)
    if (at >= 0) outgoing.splice(at, 1)
    release(item)
  }

  useLive((event) => { if (!event || event.id === visit || event.kind === 'all.changed') void fetchNew() })
  void fetchNew()
  return { messages, outgoing, text, error, ready, fetchNew, send, resend: push, drop, last: computed(() => messages.value.at(-1)?.seq ?? 0) }
}
