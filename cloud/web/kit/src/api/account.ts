import { api, body } from './call'

/** Signing in and out, for everybody. */
export const account = {
  hospitals: () => body(api.GET('/api/v1/hospitals')),
  sendCode: (hospital: string, phone: string) => body(api.POST('/api/v1/auth/phone/code', { body: { hospital, phone } })),
  phoneLogin: (hospital: string, phone: string, code: string) => body(api.POST('/api/v1/auth/phone/login', { body: { hospital, phone, code } })),
  staffLogin: (hospital: string, login: string, password: string) => body(api.POST('/api/v1/auth/staff/login', { body: { hospital, login, password } })),
  secondFactor: (ticket: string, code: string) => body(api.POST('/api/v1/auth/staff/second-factor', { body: { ticket, code } })),
  me: () => body(api.GET('/api/v1/auth/me')),
  logout: () => body(api.POST('/api/v1/auth/logout')),
  sessions: () => body(api.GET('/api/v1/auth/sessions')),
  endSession: (id: string) => body(api.DELETE('/api/v1/auth/sessions/{id}', { params: { path: { id } } })),
}
