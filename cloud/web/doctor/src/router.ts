import { session } from '@yiqiao/kit/session'
import { hasRole, staffRouter } from '@yiqiao/kit/staff-router'

const router = staffRouter('/doctor/', '医生工作站', [
  { path: '/login', name: 'login', meta: { title: '登录', open: true }, component: () => import('./pages/LoginPage.vue') },
  { path: '/', name: 'work', meta: { title: '工作台', main: true }, component: () => import('./pages/WorkPage.vue') },
  { path: '/visits/:id', name: 'visit', meta: { title: '接诊' }, props: true, component: () => import('./pages/VisitPage.vue') },
  { path: '/reviews', name: 'reviews', meta: { title: '处方审核', main: true }, component: () => import('./pages/ReviewsPage.vue') },
  { path: '/reviews/:id', name: 'review', meta: { title: '审核处方' }, props: true, component: () => import('./pages/ReviewPage.vue') },
  { path: '/record-reviews', name: 'record-reviews', meta: { title: '病历审核', main: true }, component: () => import('./pages/RecordReviewsPage.vue') },
  { path: '/record-reviews/:visit/:version', name: 'record-review', meta: { title: '审核病历' }, props: true, component: () => import('./pages/RecordReviewPage.vue') },
  { path: '/consilia', name: 'consilia', meta: { title: '会诊', main: true }, component: () => import('./pages/ConsiliaPage.vue') },
  { path: '/consilia/:id', name: 'consilium', meta: { title: '会诊' }, props: true, component: () => import('./pages/ConsiliumPage.vue') },
  { path: '/nurse', name: 'nurse', meta: { title: '我的订单', main: true }, component: () => import('./pages/NurseOrdersPage.vue') },
  { path: '/nurse/:id', name: 'nurse-order', meta: { title: '护理订单' }, props: true, component: () => import('./pages/NurseOrderPage.vue') },
  { path: '/signature', name: 'signature', meta: { title: '我的签名', main: true }, component: () => import('./pages/SignaturePage.vue') },
  { path: '/sessions', name: 'sessions', meta: { title: '登录设备', main: true }, component: () => import('./pages/SessionsPage.vue') },
  { path: '/:rest(.*)*', name: 'lost', meta: { title: '页面不存在' }, component: () => import('./pages/LostPage.vue') },
], 'login')

// Who sees no patients has no workbench of visits.
const first = () => (hasRole('pharmacist') ? 'reviews' : hasRole('nurse') ? 'nurse' : hasRole('medical_affairs') ? 'record-reviews' : 'reviews')
router.beforeEach((to) => (to.name === 'work' && session.state === 'in' && !hasRole('doctor') ? { name: first() } : true))

export { router }
