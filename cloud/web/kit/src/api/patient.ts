import { get, path, seg, write } from './call'
import type { Consent, Department, Doctor, Eligibility, FulfilmentChoice, NewPatient, NewVisit, Page, Patient, PayStart, Payment, Prescription, Rating, Slot, Visit } from './types'

/** What a patient may ask and do. */
export const patientApi = {
  patients: () => get<Patient[]>('/patients'),
  addPatient: (patient: NewPatient) => write<Patient>('POST', '/patients', patient),
  retryPatient: (id: string) => write<Patient>('POST', `/patients/${seg(id)}/retry`),
  removePatient: (id: string) => write<void>('DELETE', `/patients/${seg(id)}`),
  departments: () => get<Department[]>('/departments'),
  doctors: (department: string) => get<Doctor[]>(`/departments/${seg(department)}/doctors`),
  slots: (department_code: string, from: string, to: string, doctor_code?: string) => get<Slot[]>('/slots', { department_code, doctor_code, from, to }),
  eligibility: (patient_id: string, department_code: string) => write<Eligibility>('POST', '/visits/eligibility', { patient_id, department_code }),
  consent: () => get<Consent>('/consents/current'),
  book: (visit: NewVisit) => write<Visit>('POST', '/visits', visit),
  visits: (state: string | undefined, page: number) => get<Page<Visit>>('/visits', { state, page, size: 20 }),
  visit: (id: string) => get<Visit>(`/visits/${seg(id)}`),
  pay: (id: string) => write<PayStart>('POST', `/visits/${seg(id)}/pay`),
  cancel: (id: string, reason: string) => write<Visit>('POST', `/visits/${seg(id)}/cancel`, { reason }),
  checkIn: (id: string) => write<Visit>('POST', `/visits/${seg(id)}/check-in`),
  finish: (id: string) => write<Visit>('POST', `/visits/${seg(id)}/finish`),
  rate: (id: string, rating: Rating) => write<Visit>('POST', `/visits/${seg(id)}/rating`, rating),
  payment: (id: string) => get<Payment>(`/payments/${seg(id)}`),
  prescriptions: (page: number) => get<Page<Prescription>>('/prescriptions', { page, size: 20 }),
  prescription: (id: string) => get<Prescription>(`/prescriptions/${seg(id)}`),
  fulfil: (id: string, how: FulfilmentChoice) => write<Prescription>('POST', `/prescriptions/${seg(id)}/fulfilment`, how),
  payPrescription: (id: string) => write<PayStart>('POST', `/prescriptions/${seg(id)}/pay`),
  collected: (id: string) => write<Prescription>('POST', `/prescriptions/${seg(id)}/collected`),
  pdfUrl: (id: string) => path(`/prescriptions/${seg(id)}/pdf`),
}
