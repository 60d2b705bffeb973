import { get, seg, write } from './call'
import type { Account, DeviceSession, Hospital, Me, Staff } from './types'

/** Signing in and out, for everybody. */
export const account = {
  hospitals: () => get<Hospital[]>('/hospitals'),
  sendCode: (hospital: string, phone: string) => write<void>('POST', '/auth/phone/code', { hospital, phone }),
  phoneLogin: (hospital: string, phone: string, code: string) => write<{ token: string; account: Account }>('POST', '/auth/phone/login', { hospital, phone, code }),
  staffLogin: (hospital: string, login: string, password: string) => write<{ ticket: string; second_factor: string }>('POST', '/auth/staff/login', { hospital, login, password }),
  secondFactor: (ticket: string, code: string) => write<{ token: string; staff: Staff }>('POST', '/auth/staff/second-factor', { ticket, code }),
  me: () => get<Me>('/auth/me'),
  logout: () => write<void>('POST', '/auth/logout'),
  sessions: () => get<DeviceSession[]>('/auth/sessions'),
  endSession: (id: string) => write<void>('DELETE', `/auth/sessions/${seg(id)}`),
}
