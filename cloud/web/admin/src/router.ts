import { staffRouter } from '@yiqiao/kit/staff-router'

export const router = staffRouter('/admin/', '管理后台', [
  { path: '/login', name: 'login', meta: { title: '登录', open: true }, component: () => import('./pages/LoginPage.vue') },
  { path: '/', name: 'visits', meta: { title: '问诊查询' }, component: () => import('./pages/VisitsPage.vue') },
  { path: '/visits/:id', name: 'visit', meta: { title: '问诊全程' }, props: true, component: () => import('./pages/VisitPage.vue') },
  { path: '/appliances', name: 'appliances', meta: { title: '设备健康' }, component: () => import('./pages/AppliancesPage.vue') },
  { path: '/printers', name: 'printers', meta: { title: '打印机' }, component: () => import('./pages/PrintersPage.vue') },
  { path: '/templates', name: 'templates', meta: { title: '打印模板' }, component: () => import('./pages/TemplatesPage.vue') },
  { path: '/templates/:kind', name: 'template', meta: { title: '编辑打印模板' }, props: true, component: () => import('./pages/TemplatePage.vue') },
  { path: '/recorders', name: 'recorders', meta: { title: '工作记录仪' }, component: () => import('./pages/RecordersPage.vue') },
  { path: '/recorders/:serial', name: 'recorder', meta: { title: '工作记录仪' }, props: true, component: () => import('./pages/RecorderPage.vue') },
  { path: '/footage', name: 'footage', meta: { title: '视音频' }, component: () => import('./pages/FootagePage.vue') },
  { path: '/footage/:id', name: 'clip', meta: { title: '视音频回放' }, props: true, component: () => import('./pages/ClipPage.vue') },
  { path: '/manual', name: 'manual', meta: { title: '人工处理' }, component: () => import('./pages/ManualPage.vue') },
  { path: '/payments', name: 'payments', meta: { title: '支付记录' }, component: () => import('./pages/PaymentsPage.vue') },
  { path: '/audit', name: 'audit', meta: { title: '审计日志' }, component: () => import('./pages/AuditPage.vue') },
  { path: '/staff', name: 'staff', meta: { title: '人员账号' }, component: () => import('./pages/StaffPage.vue') },
  { path: '/settings', name: 'settings', meta: { title: '医院设置' }, component: () => import('./pages/SettingsPage.vue') },
  { path: '/sessions', name: 'sessions', meta: { title: '登录设备' }, component: () => import('./pages/SessionsPage.vue') },
  { path: '/:rest(.*)*', name: 'lost', meta: { title: '页面不存在' }, component: () => import('./pages/LostPage.vue') },
], 'login')
