import '@yiqiao/kit/style/base.css'
import '@yiqiao/kit/style/desk.css'
import './signd.css'
import { createApp } from 'vue'
import App from './App.vue'
import { router } from './router'

createApp(App).use(router).mount('#app')
