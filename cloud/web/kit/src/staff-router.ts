// Routing shared by the two staff apps: nobody in without a session, a title each, a fresh build after an update.
import { createRouter, createWebHistory, type Router, type RouteRecordRaw } from 'vue-router'
import { recall, session } from './session'
import './staff-states'

declare module 'vue-router' {
  interface RouteMeta {
    title: string
    /** One of the pages of the navigation. */
    main?: boolean
    open?: boolean
  }
}

/** Router of the staff app served at `base`. */
export function staffRouter(base: string, suffix: string, routes: RouteRecordRaw[], entry: string): Router {
  const router = createRouter({ history: createWebHistory(base), routes, scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 } })
  router.beforeEach(async (to) => {
    if (session.state === 'unknown') await recall('staff')
    if (to.meta.open || session.state === 'in' || session.error) return true
    return { name: entry, query: { next: to.fullPath } }
  })
  router.afterEach((to) => { document.title = `${to.meta.title} · ${suffix}` })
  router.onError((_error, to) => {
    const key = 'yiqiao.reloaded'
    if (sessionStorage.getItem(key) === to.fullPath) return
    sessionStorage.setItem(key, to.fullPath)
    location.assign(router.resolve(to).href)
  })
  return router
}

/** Whether the signed-in member of staff has one of the roles. */
export function hasRole(...roles: string[]): boolean {
  return session.me?.staff?.roles.some((r) => roles.includes(r)) ?? false
}
