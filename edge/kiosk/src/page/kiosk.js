// The terminal's page: draws what the appliance says, tells what was tapped. ES2017, no library. It knows nothing of a
// person beyond the screen it draws.
(function () {
  'use strict'
  var WARNING_S = 15
  var AWAY_MS = 12000
  var screen = null
  var endsAt = null
  var source = null
  var heardAt = Date.now()
  var build = null
  var drawnText = ''

  function at(id) { return document.getElementById(id) }
  function make(tag, className, text) {
    var element = document.createElement(tag)
    if (className) element.className = className
    if (text !== undefined && text !== null) element.textContent = text
    return element
  }

  async function post(path, body) {
    var answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body || {}) })
    if (!answer.ok) throw new Error(path + ': ' + answer.status)
  }

  // A second finger, or the Enter of a scanner that types, must not press the button again.
  var busyUntil = 0
  function tap(act) {
    if (!screen || Date.now() < busyUntil) return
    busyUntil = Date.now() + 350
    if (document.activeElement && document.activeElement.blur) document.activeElement.blur()
    post('/api/tap', { session: screen.session, act: act }).catch(function () { listen() })
  }

  function button(b) {
    var element = make('button', 'button' + (b.main ? ' main' : ''), b.label)
    element.type = 'button'
    element.setAttribute('data-act', b.act)
    element.addEventListener('click', function () { tap(b.act) })
    return element
  }

  // What is being typed stays here until it is sent, and is shown as dots.
  var typed = ''
  var spillsUntil = 0
  var saidAt = 0

  function type(letter) {
    var entry = screen && screen.entry
    if (!entry || Date.now() < busyUntil || typed.length >= entry.length) return
    typed += letter
    if (Date.now() - saidAt > 5000) {
      saidAt = Date.now()
      post('/api/tap', { session: screen.session, act: 'stay' }).catch(function () { listen() })
    }
    dots()
  }

  function erase() {
    typed = typed.slice(0, -1)
    dots()
  }

  // A scanner that types a card's number and Enter sends more than fits, at once: nothing of it is an answer.
  function keyed(letter) {
    var full = screen.entry.length <= typed.length
    if (full || Date.now() < spillsUntil) {
      spillsUntil = Date.now() + 500
      typed = ''
      return dots()
    }
    type(letter)
  }

  function check() {
    var entry = screen && screen.entry
    if (!entry || typed.length !== entry.length) return
    var sent = typed
    typed = ''
    tap('check:' + sent)
    dots()
  }

  function dots() {
    var entry = screen && screen.entry
    var row = document.querySelector('.dots')
    if (!entry || !row) return
    row.textContent = ''
    for (var n = 0; n < entry.length; n += 1) row.appendChild(make('span', n < typed.length ? 'dot full' : 'dot', n < typed.length ? '●' : ''))
    row.setAttribute('aria-label', '已输入 ' + typed.length + ' 位，共 ' + entry.length + ' 位')
    document.querySelector('.confirm').disabled = typed.length !== entry.length
    document.querySelector('.erase').disabled = typed.length === 0
  }

  function key(label, className, press) {
    var element = make('button', 'button ' + className, label)
    element.type = 'button'
    element.addEventListener('click', function () {
      // Whoever goes by keys stays on the key; a finger leaves none behind for an Enter to press.
      if (!document.body.classList.contains('keys')) element.blur()
      press()
    })
    return element
  }

  function heading(into, className) {
    into.appendChild(make('h1', className, screen.title))
    if (screen.lead) into.appendChild(make('p', 'lead', screen.lead))
  }

  function facts() {
    var list = make('dl', 'facts')
    screen.facts.forEach(function (fact) {
      var row = make('div')
      row.appendChild(make('dt', '', fact[0]))
      row.appendChild(make('dd', '', fact[1]))
      list.appendChild(row)
    })
    return list
  }

  function symbol(qr) {
    var quiet = 4
    var side = qr.side + 2 * quiet
    var scale = 8
    var canvas = make('canvas', 'qr')
    canvas.width = canvas.height = side * scale
    canvas.setAttribute('role', 'img')
    canvas.setAttribute('aria-label', '支付二维码')
    var pen = canvas.getContext('2d')
    pen.fillStyle = '#fff'
    pen.fillRect(0, 0, canvas.width, canvas.height)
    pen.fillStyle = '#000'
    for (var n = 0; n < qr.modules.length; n += 1) {
      if (qr.modules[n] === '1') pen.fillRect((quiet + n % qr.side) * scale, (quiet + Math.floor(n / qr.side)) * scale, scale, scale)
    }
    return canvas
  }

  var views = {
    tiles: function (main) {
      heading(main)
      var tiles = make('div', 'tiles')
      screen.tiles.forEach(function (t) {
        var tile = make('button', 'tile')
        tile.type = 'button'
        tile.setAttribute('data-act', t.act)
        tile.appendChild(make('b', '', t.title))
        tile.appendChild(make('span', '', t.hint))
        tile.addEventListener('click', function () { tap(t.act) })
        tiles.appendChild(tile)
      })
      main.appendChild(tiles)
    },
    identify: function (main) {
      if (screen.big) main.appendChild(make('span', 'task', screen.big))
      heading(main, screen.title === '请出示证件' ? '' : 'bad')
      var ways = make('div', 'ways')
      screen.facts.forEach(function (fact) {
        ways.appendChild(make('div', 'way' + (fact[0].indexOf('码') >= 0 ? ' code' : ''), fact[0]))
      })
      main.appendChild(ways)
    },
    prove: function (main) {
      if (screen.big) main.appendChild(make('span', 'task', screen.big))
      heading(main)
      var desk = make('div', 'desk')
      var column = make('div', 'column')
      var row = make('div', 'dots')
      row.setAttribute('role', 'img')
      column.appendChild(row)
      var trouble = make('p', 'trouble bad', screen.entry.trouble || '')
      trouble.setAttribute('role', 'alert')
      column.appendChild(trouble)
      column.appendChild(key('确认', 'main confirm', check))
      desk.appendChild(column)
      var pad = make('div', 'pad')
      '123456789'.split('').forEach(function (digit) { pad.appendChild(key(digit, 'digit', function () { type(digit) })) })
      var letter = screen.entry.letters
      pad.appendChild(letter ? key(letter, 'digit', function () { type(letter) }) : make('span', 'digit'))
      pad.appendChild(key('0', 'digit', function () { type('0') }))
      pad.appendChild(key('删除', 'digit erase', erase))
      desk.appendChild(pad)
      main.appendChild(desk)
      dots()
    },
    wait: function (main) {
      var box = make('div', 'wait')
      heading(box)
      main.appendChild(box)
    },
    list: function (main) {
      if (screen.pages) main.appendChild(make('p', 'pages', '第 ' + screen.pages[0] + ' 页，共 ' + screen.pages[1] + ' 页'))
      heading(main)
      var list = make('ul', 'rows')
      screen.rows.forEach(function (r) {
        var row = make('li', 'row')
        var words = make('div', 'words')
        words.appendChild(make('h2', '', r.title))
        r.lines.forEach(function (line) { if (line) words.appendChild(make('p', '', line)) })
        row.appendChild(words)
        if (r.state) row.appendChild(make('span', 'state ' + r.tone, r.state))
        if (r.button) row.appendChild(button(r.button))
        list.appendChild(row)
      })
      main.appendChild(list)
    },
    ticket: function (main) {
      heading(main, 'good')
      var sheet = make('div', 'sheet')
      sheet.appendChild(make('div', 'big', screen.big))
      sheet.appendChild(facts())
      main.appendChild(sheet)
    },
    fee: function (main) {
      heading(main, screen.title === '支付成功' ? 'good' : '')
      var sheet = make('div', 'sheet fee')
      var column = make('div', 'column')
      column.appendChild(make('div', 'big', screen.big))
      column.appendChild(facts())
      sheet.appendChild(column)
      if (screen.qr) sheet.appendChild(symbol(screen.qr))
      main.appendChild(sheet)
    },
    problem: function (main) {
      var box = make('div', 'problem')
      heading(box)
      main.appendChild(box)
    }
  }
  views.home = views.menu = views.tiles

  function draw(next) {
    if (!next.entry || !screen || next.session !== screen.session) typed = ''
    screen = next
    endsAt = next.idle_ms === null ? null : Date.now() + next.idle_ms
    var same = JSON.stringify(Object.assign({}, next, { idle_ms: null }))
    if (same !== drawnText) {
      drawnText = same
      document.body.setAttribute('data-view', next.view)
      at('hospital').textContent = next.hospital
      at('person').textContent = next.person || ''
      var notices = at('notices')
      notices.textContent = ''
      next.notices.forEach(function (words) { notices.appendChild(make('li', '', words)) })
      var main = at('main')
      main.textContent = ''
      ;(views[next.view] || views.wait)(main)
      var footer = at('footer')
      footer.textContent = ''
      next.buttons.forEach(function (b) { footer.appendChild(button(b)) })
    }
    every()
  }

  function every() {
    var now = new Date()
    at('clock').textContent = String(now.getHours()).padStart(2, '0') + ':' + String(now.getMinutes()).padStart(2, '0')
    var left = endsAt === null ? null : Math.max(0, Math.ceil((endsAt - Date.now()) / 1000))
    // The hospital is being asked: nobody is hurried.
    var warn = left !== null && left <= WARNING_S && screen && screen.view !== 'wait'
    at('idle').hidden = !warn
    if (warn) at('idle-left').textContent = String(left)
    at('away').hidden = Date.now() - heardAt < AWAY_MS && screen !== null
  }

  // Heard of at least every five seconds; silence or an error: the line is opened anew until it stands.
  function listen() {
    if (source) source.close()
    source = new EventSource('/api/screen')
    source.onmessage = function (event) {
      heardAt = Date.now()
      var next = JSON.parse(event.data)
      // The appliance was renewed: this page belongs to the old one.
      if (build !== null && next.build !== build) { location.reload(); return }
      build = next.build
      if (next.view) draw(next)
    }
    source.onerror = function () {
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000)
    }
  }

  at('idle-stay').addEventListener('click', function () { tap('stay') })
  at('idle-leave').addEventListener('click', function () { tap('leave') })
  document.addEventListener('contextmenu', function (event) { event.preventDefault() })
  document.addEventListener('keydown', function (event) {
    if (event.key === 'Tab') document.body.classList.add('keys')
    if (screen && screen.entry) {
      var letter = event.key.toUpperCase()
      if (/^[0-9]$/.test(letter) || (letter.length === 1 && screen.entry.letters.indexOf(letter) >= 0)) keyed(letter)
      if (event.key === 'Backspace') erase()
      if (event.key === 'Enter' && !(document.activeElement && document.activeElement.closest('button'))) { if (Date.now() >= spillsUntil) check() }
    }
    if (event.key === 'Escape') tap('back')
    var buttons = document.querySelectorAll('.tile, .button')
    // Enter presses only what was reached with the keyboard: scanners that type end with it.
    if (event.key === 'Enter' && !document.body.classList.contains('keys')) event.preventDefault()
    if ((event.key === 'ArrowRight' || event.key === 'ArrowDown') && buttons.length) {
      document.body.classList.add('keys')
      var list = Array.prototype.filter.call(buttons, function (b) { return b.offsetParent !== null })
      list[(list.indexOf(document.activeElement) + 1) % list.length].focus()
    }
  })
  document.addEventListener('pointerdown', function () { document.body.classList.remove('keys') })

  // That it still draws: counted only when a frame was really painted.
  setInterval(function () {
    requestAnimationFrame(function () {
      post('/api/drawn').then(function () { heardAt = Date.now() }, function () { if (source.readyState === EventSource.CLOSED) listen() })
    })
  }, 4000)
  setInterval(every, 500)
  listen()
})()
