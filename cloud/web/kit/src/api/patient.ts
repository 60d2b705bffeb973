import { api, body, path, seg } from './call'
import type { Paged, Visit, FulfilmentChoice, NewPatient, NewVisit, Rating } from './types'

const one = (id: string) => ({ params: { path: { id } } })

/** What a patient may ask and do. */
export const patientApi = {
  patients: () => body(api.GET('/api/v1/patients')),
  addPatient: (patient: NewPatient) => body(api.POST('/api/v1/patients', { body: patient })),
  retryPatient: (id: string) => body(api.POST('/api/v1/patients/{id}/retry', one(id))),
  removePatient: (id: string) => body(api.DELETE('/api/v1/patients/{id}', one(id))),
  code: (id: string, task?: string) => body(api.POST('/api/v1/patients/{id}/code', { ...one(id), body: { task } })),
  departments: () => body(api.GET('/api/v1/departments')),
  doctors: (code: string) => body(api.GET('/api/v1/departments/{code}/doctors', { params: { path: { code } } })),
  slots: (department_code: string, from: string, to: string, doctor_code?: string) => body(api.GET('/api/v1/slots', { params: { query: { department_code, doctor_code, from, to } } })),
  eligibility: (patient_id: string, department_code: string) => body(api.POST('/api/v1/visits/eligibility', { body: { patient_id, department_code } })),
  consent: () => body(api.GET('/api/v1/consents/current')),
  book: (visit: NewVisit) => body(api.POST('/api/v1/visits', { body: visit })) as Promise<Visit>,
  visits: (state: string | undefined, page: number) => body(api.GET('/api/v1/visits', { params: { query: { state, page, size: 20 } } })) as Promise<Paged<Visit>>,
  visit: (id: string) => body(api.GET('/api/v1/visits/{id}', one(id))) as Promise<Visit>,
  pay: (id: string) => body(api.POST('/api/v1/visits/{id}/pay', one(id))),
  cancel: (id: string, reason: string) => body(api.POST('/api/v1/visits/{id}/cancel', { ...one(id), body: { reason } })) as Promise<Visit>,
  checkIn: (id: string) => body(api.POST('/api/v1/visits/{id}/check-in', one(id))) as Promise<Visit>,
  finish: (id: string) => body(api.POST('/api/v1/visits/{id}/finish', one(id))) as Promise<Visit>,
  rate: (id: string, rating: Rating) => body(api.POST('/api/v1/visits/{id}/rating', { ...one(id), body: rating })) as Promise<Visit>,
  payment: (id: string) => body(api.GET('/api/v1/payments/{id}', one(id))),
  prescriptions: (page: number) => body(api.GET('/api/v1/prescriptions', { params: { query: { page, size: 20 } } })),
  prescription: (id: string) => body(api.GET('/api/v1/prescriptions/{id}', one(id))),
  fulfil: (id: string, how: FulfilmentChoice) => body(api.POST('/api/v1/prescriptions/{id}/fulfilment', { ...one(id), body: how })),
  payPrescription: (id: string) => body(api.POST('/api/v1/prescriptions/{id}/pay', one(id))),
  collected: (id: string) => body(api.POST('/api/v1/prescriptions/{id}/collected', one(id))),
  orders: (visit: string) => body(api.GET('/api/v1/visits/{id}/orders', one(visit))),
  recordPdfUrl: (id: string) => path(`/visits/${seg(id)}/record/pdf`),
  pdfUrl: (id: string) => path(`/prescriptions/${seg(id)}/pdf`),
}
