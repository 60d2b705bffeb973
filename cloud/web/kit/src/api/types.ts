/* Shapes of the API as the apps use them. */
export interface Page<T> { items: T[]; total: number; page: number; size: number }
export interface Hospital { code: string; name: string }
export interface Account { id: string; phone_masked: string }
export type Role = 'doctor' | 'pharmacist' | 'admin' | string
export interface Staff { id: string; name: string; roles: Role[]; title?: string | null; department_name?: string | null }
export interface Me { kind: 'patient' | 'staff'; account?: Account | null; staff?: Staff | null; hospital: Hospital }
export interface DeviceSession { id: string; current?: boolean; device?: string; user_agent?: string; created_at: string; last_seen_at?: string; ip?: string }

export type Relation = 'self' | 'spouse' | 'child' | 'parent' | 'other'
export interface Guardian { name: string; id_number: string }
export interface NewPatient { name: string; id_number: string; phone: string; relation: Relation; guardian?: Guardian }
export interface Patient {
  id: string; name_masked: string; id_number_masked: string; relation: Relation; sex: string; birth_date: string
  his_state: 'matched' | 'created' | 'pending' | 'refused'; his_message?: string | null
}
export interface Department { code: string; name: string; description?: string; location?: string }
export interface Doctor { code: string; name: string; title: string; skill?: string; introduction?: string }
export interface Slot {
  work_id: string; doctor_code: string; doctor_name: string; doctor_title: string; department_code: string; date: string
  period: string; begin: string; end: string; left: number; total: number; fee_fen: number; stopped: boolean
}
export interface Diagnosis { code: string; name: string; main?: boolean }
export interface PastVisit { visit_number?: string; date: string; department_code?: string; department_name: string; doctor_name: string; diagnoses: Diagnosis[] }
export interface Eligibility { eligible: boolean; reason?: string | null; within_days: number; last_visit?: PastVisit | null }
export interface Consent { id: string; version: string | number; title: string; text: string }
export interface Upload { id: string; mime: string; size: number }

export interface Statement { complaint: string; duration: string; history: string; allergies: string; medications: string }
export type Purpose = 'follow_up' | 'renew_prescription'
export interface SlotRef { work_id: string; date: string; begin: string; end: string }
export interface NewVisit {
  key: string; patient_id: string; purpose: Purpose; department_code: string; doctor_code: string; slot: SlotRef
  consent: { id: string; version: string | number }; statement: Statement; photo_ids: string[]
}
export interface PersonOfVisit { id?: string; name_masked?: string; name?: string; sex?: string; birth_date?: string; relation?: Relation; phone?: string; id_number?: string; id_number_masked?: string; phone_masked?: string }
export interface RxLink { id: string; state: string; state_text: string }
export interface Rating { attitude: number; professional: number; speed: number; comment: string }
export interface Visit {
  id: string; state: string; state_text: string; purpose?: Purpose; patient: PersonOfVisit; department_code: string; department_name: string
  doctor: { code: string; name: string; title: string }; slot: SlotRef & { period?: string }; fee_fen: number
  statement?: Statement | null; photos: (string | { id: string })[]; lock_expires_at?: string | null
  payment?: { id?: string; state: string; amount_fen?: number } | null
  queue_position?: number | null; video?: { state: string } | null; rating?: Rating | null
  prescriptions: RxLink[]; allowed: string[]; created_at: string; message?: string | null; unread?: number
}
export interface PayStart { payment_id: string; pay_url: string; expires_at?: string | null }
export interface Payment { id: string; state: string; amount_fen: number; subject_kind: string; subject_id: string; message?: string | null }

export interface Message {
  seq: number; id: string; from: 'patient' | 'doctor' | 'system'; kind: 'text' | 'image' | 'voice' | 'system'
  text?: string | null; blob_id?: string | null; duration_s?: number | null; at: string
}
export interface NewMessage { client_id: string; kind: 'text' | 'image' | 'voice'; text?: string; blob_id?: string; duration_s?: number }
export interface VideoState { state: string; recordings: { id?: string; blob_id?: string; role?: string; participant?: string; started_at?: string; duration_s?: number; url?: string }[] }
export interface IceServer { urls: string | string[]; username?: string; credential?: string }

export interface WesternItem { drug_code: string; dose: string; dose_unit: string; route_code: string; frequency_code: string; days: number; quantity: number; quantity_unit: string; note: string }
export interface HerbalItem { drug_code: string; dose_g: number; note: string }
export interface HerbalPart { doses: number; decoction: boolean; usage: string }
export interface NewPrescription { kind: 'western' | 'herbal'; items: (WesternItem | HerbalItem)[]; herbal?: HerbalPart }
export interface RxItem {
  code?: string; drug_code?: string; name: string; specification?: string; dose?: string; dose_unit?: string; dose_g?: number
  route?: string; route_code?: string; route_name?: string; frequency?: string; frequency_code?: string; frequency_name?: string
  days?: number; quantity?: number; quantity_unit?: string; amount_fen?: number; price_fen?: number; note?: string
}
export interface Person { id?: string; code?: string; name: string; title?: string }
export interface Rejection { reasons: string[]; comment: string; by: string | Person; at: string }
export interface TrailStep { state?: string; state_text?: string; from?: string | null; to?: string; at: string; by: string; note?: string | null }
export interface Address { name: string; phone: string; region: string; detail: string }
export interface Fulfilment { kind: 'pickup' | 'delivery'; address?: Address | null; waybill?: string | null; company?: string | null; window?: string | null }
export interface Hint { rule: string; severity: string; text: string; items?: (string | number)[] }
export interface Prescription {
  id: string; number?: string; visit_id?: string; state: string; state_text: string; kind: 'western' | 'herbal'; items: RxItem[]
  herbal?: HerbalPart | null; diagnoses: Diagnosis[]; total_fen: number; doctor: Person; pharmacist?: Person | null
  rejections: Rejection[]; appeal?: { reason: string; at?: string } | string | null; fulfilment?: Fulfilment | null
  payment?: { id?: string; state: string } | null; pickup_code?: string | null; verify_code?: string | null
  trail: TrailStep[]; allowed: string[]; created_at?: string; hints?: Hint[]; allergies?: string | null; patient?: PersonOfVisit
  department_name?: string; message?: string | null; revision?: number
}
export interface Record_ {
  chief_complaint: string; present_history: string; past_history: string; allergies: string; examination: string
  diagnoses: Diagnosis[]; advice: string
}
export interface DiagnosisTerm { code: string; name: string; pinyin?: string }
export interface Term { code: string; name: string }
export interface Frequency extends Term { times: number; per_days: number }
export interface Drug {
  code: string; name: string; pinyin?: string; specification: string; dose_per_min_unit: string; dose_unit: string; min_unit: string
  pack_unit: string; pack_size: number; price_fen: number; manufacturer?: string; default_route_code?: string | null
  default_frequency_code?: string | null; max_single_dose?: string | null; control: string; barred_online: boolean
}
export interface Herb { code: string; name: string; pinyin?: string; price_fen_per_g: number; max_dose_g?: number | null; toxic: boolean }
export interface PastPrescription { number: string; date: string; department_name: string; doctor_name: string; items: { name: string; specification: string; usage: string; quantity: string }[] }
export interface LabReport { report_number: string; name: string; reported_at: string; department_name: string; items: { name: string; result: string; unit: string; reference: string; flag: string }[] }
export interface ExamReport { report_number: string; name: string; part: string; reported_at: string; department_name: string; findings: string; opinion: string; image_digest?: string | null }
export interface Signature { enrolled: boolean; certificate_serial?: string | null; not_after?: string | null; locked?: boolean; image?: string | null }

export interface AdminVisit extends Visit { trail: TrailStep[]; payments: AdminPayment[]; commands: HisCommandRow[] }
export interface AdminPayment { id: string; state: string; amount_fen: number; subject_kind: string; subject_id: string; channel?: string; channel_number?: string | null; created_at?: string; paid_at?: string | null; refund?: { state: string; amount_fen?: number } | null; refunds?: { id: string; state: string; amount_fen: number; at?: string }[] }
export interface HisCommandRow { key: string; op?: string; method?: string; kind?: string; state: string; outcome?: unknown; text?: string | null; created_at?: string; settled_at?: string | null; at?: string }
export interface Appliance {
  id: string; serial: string; link: 'online' | 'offline'; last_seen?: string | null; buffer_depth?: number | null; tpm?: string | null; signd?: string | null
  printers: { id: string; name: string; state: string }[]; his: { endpoint: string; state: string }[]; version?: string | null; certificate_not_after?: string | null
}
export interface ManualItem { id: string; kind?: string; op?: string; subject_kind?: string; subject_id: string; visit_id?: string; text?: string; message?: string; note?: string | null; amount_fen?: number | null; attempts?: number; created_at?: string; since?: string; state?: string }
export interface AuditRow { seq?: number; id?: string; at: string; actor: string; action?: string; what?: string; subject?: string; ip?: string; result?: string; digest?: string; hash?: string }
export type Settings = Record<string, unknown>
export interface Verification {
  valid: boolean; reason?: string | null
  document?: { hospital: string; number: string; patient_name_masked: string; items: RxItem[]; written_at?: string; state?: string } | null
  signatures: { role: string; name: string; certificate_serial: string; signed_at: string; valid: boolean }[]
}
