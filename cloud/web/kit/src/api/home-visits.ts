import { api, body } from './call'
import type { HomeVisitDetail } from './types'

const one = (id: string) => ({ params: { path: { id } } })

/** What a patient may ask and do about nursing at home. */
export const homeVisitsApi = {
  visits: () => body(api.GET('/api/v1/nursing/orders')),
  visit: (id: string) => body(api.GET('/api/v1/nursing/orders/{id}', one(id))) as Promise<HomeVisitDetail>,
  fillForm: (id: string, form: string, version: number, answers: Record<string, unknown>) => body(api.POST('/api/v1/nursing/orders/{id}/form', { ...one(id), body: { form, version, answers: answers as never } })) as Promise<HomeVisitDetail>,
}
