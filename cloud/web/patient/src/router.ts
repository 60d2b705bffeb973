import { recall, session } from '@yiqiao/kit/session'
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

declare module 'vue-router' {
  interface RouteMeta {
    title: string
    /** One of the four main pages, with the navigation shown. */
    main?: boolean
    /** May be seen without signing in. */
    open?: boolean
  }
}

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', meta: { title: '首页', main: true, open: true }, component: () => import('./pages/HomePage.vue') },
  { path: '/login', name: 'login', meta: { title: '登录', open: true }, component: () => import('./pages/LoginPage.vue') },
  { path: '/patients', name: 'patients', meta: { title: '就诊人管理' }, component: () => import('./pages/PatientsPage.vue') },
  { path: '/patients/add', name: 'patient-add', meta: { title: '添加就诊人' }, component: () => import('./pages/PatientAddPage.vue') },
  { path: '/book', name: 'book', meta: { title: '选择就诊人' }, component: () => import('./pages/BookPatientPage.vue') },
  { path: '/book/department', name: 'book-department', meta: { title: '选择科室' }, component: () => import('./pages/BookDepartmentPage.vue') },
  { path: '/book/doctor', name: 'book-doctor', meta: { title: '选择医生' }, component: () => import('./pages/BookDoctorPage.vue') },
  { path: '/book/slot', name: 'book-slot', meta: { title: '选择时间' }, component: () => import('./pages/BookSlotPage.vue') },
  { path: '/book/consent', name: 'book-consent', meta: { title: '知情同意' }, component: () => import('./pages/BookConsentPage.vue') },
  { path: '/book/statement', name: 'book-statement', meta: { title: '病情描述' }, component: () => import('./pages/BookStatementPage.vue') },
  { path: '/book/confirm', name: 'book-confirm', meta: { title: '确认订单' }, component: () => import('./pages/BookConfirmPage.vue') },
  { path: '/visits', name: 'visits', meta: { title: '我的问诊', main: true }, component: () => import('./pages/VisitsPage.vue') },
  { path: '/visits/:id', name: 'visit', meta: { title: '问诊详情' }, props: true, component: () => import('./pages/VisitPage.vue') },
  { path: '/visits/:id/room', name: 'room', meta: { title: '问诊室' }, props: true, component: () => import('./pages/RoomPage.vue') },
  { path: '/prescriptions', name: 'prescriptions', meta: { title: '我的处方', main: true }, component: () => import('./pages/PrescriptionsPage.vue') },
  { path: '/prescriptions/:id', name: 'prescription', meta: { title: '处方详情' }, props: true, component: () => import('./pages/PrescriptionPage.vue') },
  { path: '/code', name: 'code', meta: { title: '我的就诊码' }, component: () => import('./pages/CodePage.vue') },
  { path: '/pay/:id', name: 'pay', meta: { title: '支付结果' }, props: true, component: () => import('./pages/PayPage.vue') },
  { path: '/home-visits/:id?', name: 'home-visits', meta: { title: '上门护理' }, props: true, component: () => import('./pages/HomeVisitsPage.vue') },
  { path: '/me', name: 'me', meta: { title: '我的', main: true }, component: () => import('./pages/MePage.vue') },
  { path: '/me/sessions', name: 'sessions', meta: { title: '登录设备' }, component: () => import('./pages/SessionsPage.vue') },
  { path: '/:rest(.*)*', name: 'lost', meta: { title: '页面不存在', open: true }, component: () => import('./pages/LostPage.vue') },
]

export const router = createRouter({
  history: createWebHistory('/patient/'),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

router.beforeEach(async (to) => {
  if (session.state === 'unknown') await recall('patient')
  if (to.meta.open || session.state === 'in' || session.error) return true
  return { name: 'login', query: { next: to.fullPath } }
})
router.afterEach((to) => { document.title = `${to.meta.title} · 医桥互联网医院` })
// A page of an older build is gone after an update: fetch the new build once.
router.onError((_error, to) => {
  const key = 'yiqiao.reloaded'
  if (sessionStorage.getItem(key) === to.fullPath) return
  sessionStorage.setItem(key, to.fullPath)
  location.assign(router.resolve(to).href)
})
