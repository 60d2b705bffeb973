// To the channel's page and back. The channel's page is another site; we come back to `/pay/:id`, which asks the server.
import type { PayStart } from '@yiqiao/kit/api/types'
import type { RouteLocationRaw, Router } from 'vue-router'

/** Start a payment and go to the channel's page; it returns to our result page. */
export async function pay(start: () => Promise<PayStart>, back: RouteLocationRaw, router: Router): Promise<void> {
  const started = await start()
  const result = router.resolve({ name: 'pay', params: { id: started.payment_id }, query: { back: router.resolve(back).fullPath } })
  await router.replace(back)
  if (!started.pay_url) {
    await router.push(result.fullPath)
    return
  }
  const url = new URL(started.pay_url, location.href)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error('支付地址无效，请稍后重试')
  url.searchParams.set('redirect_url', new URL(result.href, location.href).href)
  location.assign(url)
}
