import { api, body } from './call'
import type { AlarmPress, NursingForm, NursingOrder, NursingOrderDetail, NursingOrderForm, Paged, TrackPosition } from './types'

const one = (id: string) => ({ params: { path: { id } } })
/** Filters of the desk's orders. */
export interface OrderSearch { state: string; nurse: string; no: string; patient: string; from: string; to: string }

/** What a nurse may ask and do: her own orders, her alarms. */
export const nurseApi = {
  orders: (query: { state: string; q: string; from?: string; to?: string }, page: number, size = 20) => body(api.GET('/api/v1/nurse/orders', { params: { query: { ...query, page, size } } })) as Promise<Paged<NursingOrder>>,
  summary: (from: string, to: string) => body(api.GET('/api/v1/nurse/summary', { params: { query: { from, to } } })),
  order: (id: string) => body(api.GET('/api/v1/nurse/orders/{id}', one(id))) as Promise<NursingOrderDetail>,
  accept: (id: string) => body(api.POST('/api/v1/nurse/orders/{id}/acts', { ...one(id), body: { act: 'accept' } })),
  decline: (id: string, reason: string) => body(api.POST('/api/v1/nurse/orders/{id}/acts', { ...one(id), body: { act: 'decline', reason } })),
  start: (id: string, without_recorder = '') => body(api.POST('/api/v1/nurse/orders/{id}/acts', { ...one(id), body: { act: 'start', without_recorder } })),
  finish: (id: string, record: string) => body(api.POST('/api/v1/nurse/orders/{id}/acts', { ...one(id), body: { act: 'finish', record } })),
  takeRecorder: (id: string) => body(api.POST('/api/v1/nurse/orders/{id}/recorder', one(id))),
  openAgain: (id: string) => body(api.POST('/api/v1/nurse/orders/{id}/recorder/opening', one(id))),
  track: (id: string, batch: { batch: string; sent_at: string; positions: TrackPosition[] }) => body(api.POST('/api/v1/nurse/orders/{id}/track', { ...one(id), body: batch })),
  alarm: (press: AlarmPress) => body(api.POST('/api/v1/nurse/alarms', { body: press })),
}

/** What the hospital's nursing desk may ask and do. */
export const nursingApi = {
  orders: (search: OrderSearch, page: number, size: number) => body(api.GET('/api/v1/admin/nursing/orders', { params: { query: { ...search, page, size } } })) as Promise<Paged<NursingOrder>>,
  order: (id: string) => body(api.GET('/api/v1/admin/nursing/orders/{id}', one(id))) as Promise<NursingOrderDetail>,
  create: (form: NursingOrderForm) => body(api.POST('/api/v1/admin/nursing/orders', { body: form })),
  change: (id: string, form: NursingOrderForm) => body(api.PUT('/api/v1/admin/nursing/orders/{id}', { ...one(id), body: form })),
  assign: (id: string, nurse: string, reason = '') => body(api.POST('/api/v1/admin/nursing/orders/{id}/acts', { ...one(id), body: { act: 'assign', nurse, reason } })),
  cancel: (id: string, reason: string) => body(api.POST('/api/v1/admin/nursing/orders/{id}/acts', { ...one(id), body: { act: 'cancel', reason } })),
  end: (id: string, reason: string, ended_at: string) => body(api.POST('/api/v1/admin/nursing/orders/{id}/acts', { ...one(id), body: { act: 'end', reason, ended_at } })),
  handOver: (id: string, nurse: string, reason: string, ended_at: string) => body(api.POST('/api/v1/admin/nursing/orders/{id}/acts', { ...one(id), body: { act: 'hand_over', nurse, reason, ended_at } })),
  choices: () => body(api.GET('/api/v1/admin/nursing/choices')),
  track: (id: string) => body(api.GET('/api/v1/admin/nursing/orders/{id}/track', one(id))),
  alarms: (open: boolean) => body(api.GET('/api/v1/admin/nursing/alarms', { params: { query: { open } } })),
  acknowledge: (id: string) => body(api.POST('/api/v1/admin/nursing/alarms/{id}/acts', { ...one(id), body: { act: 'acknowledge' } })),
  closeAlarm: (id: string, note: string) => body(api.POST('/api/v1/admin/nursing/alarms/{id}/acts', { ...one(id), body: { act: 'close', note } })),
  forms: () => body(api.GET('/api/v1/admin/nursing/forms')),
  form: (id: string) => body(api.GET('/api/v1/admin/nursing/forms/{id}', one(id))),
  addForm: (form: NursingForm) => body(api.POST('/api/v1/admin/nursing/forms', { body: form })),
  changeForm: (id: string, form: NursingForm) => body(api.PUT('/api/v1/admin/nursing/forms/{id}', { ...one(id), body: form })),
  actForm: (id: string, act: 'retire' | 'restore') => body(api.POST('/api/v1/admin/nursing/forms/{id}/acts', { ...one(id), body: { act } })),
}
