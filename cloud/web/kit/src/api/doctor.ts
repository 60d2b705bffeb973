import { DEADLINE, send } from '../http'
import { api, body, path, seg } from './call'
import type { Paged, Visit, ExamReport, Group, LabReport, NewPrescription, PastPrescription, PastVisit, ProblemClass, Record_, SavedRecord } from './types'

const one = (id: string) => ({ params: { path: { id } } })
const find = (q: string) => ({ params: { query: { q } } })

/** What doctors and pharmacists may ask and do. */
export const doctorApi = {
  visits: (group: Group, q: string, page: number, size = 20) => body(api.GET('/api/v1/doctor/visits', { params: { query: { group, q, page, size } } })) as Promise<Paged<Visit>>,
  counts: () => body(api.GET('/api/v1/doctor/visits/counts')),
  visit: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}', one(id))) as Promise<Visit>,
  accept: (id: string) => body(api.POST('/api/v1/doctor/visits/{id}/accept', one(id))) as Promise<Visit>,
  decline: (id: string, reason: string) => body(api.POST('/api/v1/doctor/visits/{id}/decline', { ...one(id), body: { reason } })) as Promise<Visit>,
  withdraw: (id: string, reason: string) => body(api.POST('/api/v1/doctor/visits/{id}/withdraw', { ...one(id), body: { reason } })) as Promise<Visit>,
  finish: (id: string) => body(api.POST('/api/v1/doctor/visits/{id}/finish', one(id))) as Promise<Visit>,
  // The HIS's own shapes pass through undescribed.
  pastVisits: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}/history/visits', one(id))) as Promise<PastVisit[]>,
  pastPrescriptions: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}/history/prescriptions', one(id))) as Promise<PastPrescription[]>,
  labs: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}/history/labs', one(id))) as Promise<LabReport[]>,
  exams: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}/history/exams', one(id))) as Promise<ExamReport[]>,
  examPicture: async (id: string, report: string) => (await send(path(`/doctor/visits/${seg(id)}/history/exams/${seg(report)}/picture`), {}, DEADLINE.upload)).blob(),
  record: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}/record', one(id))) as Promise<SavedRecord>,
  saveRecord: (id: string, record: Record_, based_on: number) => body(api.PUT('/api/v1/doctor/visits/{id}/record', { ...one(id), body: { ...record, based_on } })) as Promise<SavedRecord>,
  signRecord: (id: string, pin: string, version: number) => body(api.POST('/api/v1/doctor/visits/{id}/record/sign', { ...one(id), body: { pin, version } })) as Promise<SavedRecord>,
  recordPdfUrl: (id: string) => path(`/visits/${seg(id)}/record/pdf`),
  diagnoses: (q: string) => body(api.GET('/api/v1/dictionary/diagnoses', find(q))),
  drugs: (q: string) => body(api.GET('/api/v1/dictionary/drugs', find(q))),
  herbs: (q: string) => body(api.GET('/api/v1/dictionary/herbs', find(q))),
  routes: () => body(api.GET('/api/v1/dictionary/routes')),
  frequencies: () => body(api.GET('/api/v1/dictionary/frequencies')),
  decoction: () => body(api.GET('/api/v1/doctor/decoction')),
  prescriptions: (id: string) => body(api.GET('/api/v1/doctor/visits/{id}/prescriptions', one(id))),
  prescribe: (id: string, rx: NewPrescription) => body(api.POST('/api/v1/doctor/visits/{id}/prescriptions', { ...one(id), body: rx })),
  change: (id: string, rx: NewPrescription) => body(api.PUT('/api/v1/doctor/prescriptions/{id}', { ...one(id), body: rx })),
  sign: (id: string, pin: string) => body(api.POST('/api/v1/doctor/prescriptions/{id}/sign', { ...one(id), body: { pin } })),
  revise: (id: string) => body(api.POST('/api/v1/doctor/prescriptions/{id}/revise', one(id))),
  appeal: (id: string, reason: string) => body(api.POST('/api/v1/doctor/prescriptions/{id}/appeal', { ...one(id), body: { reason } })),
  revoke: (id: string, reason: string) => body(api.POST('/api/v1/doctor/prescriptions/{id}/revoke', { ...one(id), body: { reason } })),
  discard: (id: string) => body(api.DELETE('/api/v1/doctor/prescriptions/{id}', one(id))),
  signature: () => body(api.GET('/api/v1/doctor/signature')),
  enrol: (image: string, pin: string) => body(api.POST('/api/v1/doctor/signature', { body: { image, pin } })),
  reviews: (state: string, page: number) => body(api.GET('/api/v1/pharmacist/prescriptions', { params: { query: { state, page, size: 20 } } })),
  review: (id: string) => body(api.GET('/api/v1/pharmacist/prescriptions/{id}', one(id))),
  approve: (id: string, pin: string) => body(api.POST('/api/v1/pharmacist/prescriptions/{id}/approve', { ...one(id), body: { pin } })),
  reject: (id: string, reasons: ProblemClass[], comment: string, pin: string) => body(api.POST('/api/v1/pharmacist/prescriptions/{id}/reject', { ...one(id), body: { reasons, comment, pin } })),
  prepare: (id: string) => body(api.POST('/api/v1/pharmacist/prescriptions/{id}/prepare', one(id))),
  handOver: (id: string, pickup_code: string) => body(api.POST('/api/v1/pharmacist/prescriptions/{id}/hand-over', { ...one(id), body: { pickup_code } })),
  ship: (id: string, courier: string, waybill: string) => body(api.POST('/api/v1/pharmacist/prescriptions/{id}/ship', { ...one(id), body: { courier, waybill } })),
}
