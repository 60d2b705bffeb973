import { createRouter, createWebHistory } from 'vue-router'
import { signd } from './api/signd'
import { onBack, reach } from './reach'
import { recall, session } from './session'

declare module 'vue-router' {
  interface RouteMeta { title: string; open?: boolean }
}

/** The pages. Signing in is no page of its own: it stands before whichever one wants to see. */
export const router = createRouter({
  history: createWebHistory('/'),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/', name: 'overview', meta: { title: '概览' }, component: () => import('./pages/OverviewPage.vue') },
    { path: '/keys', name: 'keys', meta: { title: '服务器密钥' }, component: () => import('./pages/KeysPage.vue') },
    { path: '/applications', name: 'applications', meta: { title: '应用系统' }, component: () => import('./pages/ApplicationsPage.vue') },
    { path: '/applications/:id', name: 'application', meta: { title: '应用系统' }, props: true, component: () => import('./pages/ApplicationPage.vue') },
    { path: '/chains', name: 'chains', meta: { title: '证书链' }, component: () => import('./pages/ChainsPage.vue') },
    { path: '/revocation', name: 'revocation', meta: { title: '吊销检查' }, component: () => import('./pages/RevocationPage.vue') },
    { path: '/certificates', name: 'certificates', meta: { title: '客户端证书' }, component: () => import('./pages/CertificatesPage.vue') },
    { path: '/time', name: 'time', meta: { title: '时间同步' }, component: () => import('./pages/TimePage.vue') },
    { path: '/interfaces', name: 'interfaces', meta: { title: '接口与日志外发' }, component: () => import('./pages/InterfacesPage.vue') },
    { path: '/log', name: 'log', meta: { title: '签名日志' }, component: () => import('./pages/LogPage.vue') },
    { path: '/backup', name: 'backup', meta: { title: '备份与恢复' }, component: () => import('./pages/BackupPage.vue') },
    { path: '/replica', name: 'replica', meta: { title: '多机互备' }, component: () => import('./pages/ReplicaPage.vue') },
    { path: '/accounts', name: 'accounts', meta: { title: '账户' }, component: () => import('./pages/AccountsPage.vue') },
    { path: '/tls', name: 'tls', meta: { title: 'HTTPS 证书' }, component: () => import('./pages/TlsPage.vue') },
    { path: '/me', name: 'me', meta: { title: '我的密码' }, component: () => import('./pages/MePage.vue') },
    { path: '/:rest(.*)*', name: 'lost', meta: { title: '页面不存在' }, component: () => import('./pages/LostPage.vue') },
  ],
})
router.beforeEach(async () => { if (session.state === 'unknown') await recall() })
router.afterEach((to) => { document.title = `${to.meta.title} · 签名验签服务器` })
// Parts of the page come from the server: while it is away one stays where one is, and gets there when it is back. After an
// update of the server the old page's parts are gone: it is loaded anew, once.
router.onError(async (_error, to) => {
  await signd.session().catch(() => undefined)
  if (reach.state === 'lost') {
    const stop = onBack(() => {
      stop()
      // When it is away again meanwhile, this is told of it once more.
      router.push(to.fullPath).catch(() => undefined)
    })
    return
  }
  const key = 'signd.reloaded'
  if (sessionStorage.getItem(key) === to.fullPath) return
  sessionStorage.setItem(key, to.fullPath)
  location.assign(router.resolve(to).href)
})
