// One explorer on a page: its controls, its picture, and a sentence that tells the state.
//
// Behind it stands a model: a kernel's (base.py) or, on a page without one, a stand-in that plays
// pictures drawn beforehand. Of either only `get`, `on`, `off` and `send` are used: settings are
// sent, and how fine the screen is; the answer is there when "turn" changes. Nothing here knows
// mathematics: a slider is a list of values. A control with one value only is shown, and cannot be
// moved.

const PACE = 300 // milliseconds a step, at play
const PATIENCE = 3000 // milliseconds until the page says that no answer came

const shown = (value) => String(value).replace("-", "−")
const nearest = (list, value) => {
  const distance = (i) => Math.abs(list[i] - value)
  const closer = (best, _, i) => (distance(i) < distance(best) ? i : best)
  return list.includes(value) ? list.indexOf(value) : list.reduce(closer, 0)
}
const parse = (text) => (text ? Number(text.replace("−", "-").replace(",", ".")) : NaN)

function make(tag, properties, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value
    else element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

// A control has a row on the page and a value; `set` shows another value, `change` is told when a
// reader gives one, `refuse` is told why a typed text is none.

function slider({ label, values, whole }, change, refuse) {
  const last = values.length - 1, longest = Math.max(6, ...values.map((one) => shown(one).length))
  const box = make("input", { inputMode: "decimal", autocomplete: "off", "aria-label": label })
  const bar = make("input", { type: "range", min: 0, max: last, "aria-label": label })
  const row = make("div", { className: "mflib-control" }, make("label", {}, label + " ", box), bar)
  const control = { row, set, step, first: () => take(values[0]) }
  box.style.width = longest + "ch"
  box.disabled = bar.disabled = !last

  function set(value) {
    control.value = value
    bar.value = nearest(values, value)
    box.value = shown(value)
    box.removeAttribute("aria-invalid")
    bar.setAttribute("aria-valuetext", shown(value))
  }
  function take(value) {
    if (value === control.value) return set(value)
    set(value)
    change(value)
  }
  function typed() {
    const text = box.value.trim(), value = parse(text)
    const right = whole ? Number.isInteger(value) : Number.isFinite(value)
    if (right && value >= values[0] && value <= values[last]) {
      take(value)
      return true
    }
    box.setAttribute("aria-invalid", true)
    const kind = whole ? "whole number" : "number"
    refuse(`“${text}” is no ${kind} from ${shown(values[0])} to ${shown(values[last])}, as “${label}” needs`)
    return false
  }
  function step(direction) {
    const beyond = (value) => direction * (value - control.value) > 0
    const next = direction > 0 ? values.find(beyond) : values.findLast(beyond)
    if (next !== undefined) take(next)
    return next !== undefined
  }
  bar.oninput = () => take(values[bar.value])
  box.onchange = typed
  box.onkeydown = (event) => {
    const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key]
    if (!direction) return
    event.preventDefault()
    if (typed()) step(direction)
  }
  return control
}

function choice({ label, options }, change) {
  const list = make("select", { "aria-label": label }, ...options.map((name) => new Option(name)))
  const row = make("div", { className: "mflib-control" }, make("label", {}, label + " ", list))
  list.disabled = options.length < 2
  list.onchange = () => change((control.value = list.value))
  const control = { row, set: (value) => (control.value = list.value = value) }
  return control
}

// One request is under way at a time, and only the newest waits: a drag ends where the hand is.
function line(model, tell) {
  const late = model.get("spec").late
  let asked = false, waiting = null, patience
  function ask(settings) {
    waiting = asked ? settings : null
    if (asked) return
    asked = true
    model.send({ settings, sharpness: devicePixelRatio })
  }
  function send(settings) { // for a reader, who looks for the answer
    patience ??= setTimeout(tell, PATIENCE, "Waiting", late)
    ask(settings)
  }
  function answered() {
    patience = clearTimeout(patience)
    asked = false
    if (waiting) send(waiting)
    return !asked
  }
  return { ask, send, answered, free: () => !asked }
}

function render({ model, el }) {
  const spec = model.get("spec")
  const canvas = make("canvas", { role: "img", "aria-label": spec.alt })
  Object.assign(canvas.style, { width: spec.width + "px", aspectRatio: spec.width / spec.height })
  const state = make("b", {}), message = make("span", {})
  const status = make("p", { role: "status" }, state, " ", message)
  status.style.minHeight = 1.4 * spec.lines + "em" // so that nothing below moves
  function tell(head, tail) {
    state.textContent = head + "."
    message.textContent = tail + "."
  }

  const kernel = line(model, tell)
  let settings = { ...model.get("settings") }
  function change(some) {
    settings = { ...settings, ...some }
    kernel.send(settings)
  }
  const bar = make("div", { className: "mflib-controls" }), controls = {}
  for (const [name, its] of Object.entries(spec.controls)) {
    const build = its.options ? choice : slider
    controls[name] = build(its, (value) => change({ [name]: value }), (why) => tell("Not taken", why))
    controls[name].set(settings[name])
    bar.append(controls[name].row)
  }
  const buttons = bar.appendChild(make("div", { className: "mflib-buttons" }))
  const button = (name, onclick) => buttons.appendChild(make("button", { type: "button", onclick }, name))

  let timer = 0
  function pause() {
    timer = clearInterval(timer)
    if (play) play.textContent = "Play"
  }
  function start() {
    play.textContent = "Pause"
    if (!played.step(1)) played.first()
    timer = setInterval(() => kernel.free() && !played.step(1) && pause(), PACE)
  }
  const played = controls[spec.play], still = matchMedia("(prefers-reduced-motion: reduce)").matches
  const play = played && !still && button("Play", () => (timer ? pause() : start()))
  if (played) button("Step", () => { pause(); played.step(1) })
  button("Reset", () => {
    pause()
    for (const name in controls) controls[name].set(spec.start[name])
    change(spec.start)
  })

  async function draw() {
    const [turn, now, words] = ["turn", "settings", "words"].map((name) => model.get(name))
    const its = model.get("picture"), picture = its instanceof Image ? its : make("img", { src: its })
    await picture.decode()
    if (turn !== model.get("turn")) return // a newer one is on its way
    canvas.width = picture.width
    canvas.height = picture.height
    canvas.getContext("2d").drawImage(picture, 0, 0)
    status.dataset.settings = JSON.stringify(now)
    tell(...words) // last: who reads new words finds the new picture
  }
  function answer() {
    if (kernel.answered()) {
      settings = { ...model.get("settings") } // another view may have moved
      for (const name in controls) {
        if (controls[name].value !== settings[name]) controls[name].set(settings[name])
      }
    }
    draw()
  }
  // JupyterLab would take arrow keys for itself, and letters for commands, and slides would turn;
  // Escape gives the keys back.
  const runs = (event) => event.key === "Enter" && event.shiftKey
  const ours = (event) => !runs(event) && !event.ctrlKey && !event.metaKey
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      document.activeElement.blur()
      el.closest("[tabindex]")?.focus()
    }
    if (ours(event)) event.stopPropagation()
  })
  // Notebook 7 takes a key before it arrives here, unless its target has this attribute.
  function claim(event) {
    if (el.contains(event.target)) event.target.toggleAttribute("data-lm-suppress-shortcuts", ours(event))
  }
  window.addEventListener("keydown", claim, true)
  el.classList.add("mflib-explorer")
  el.dataset.name = spec.name
  el.append(bar, canvas, status)
  model.on("change:turn", answer)
  draw()
  kernel.ask(settings) // for a picture as fine as this screen
  return () => {
    pause()
    window.removeEventListener("keydown", claim, true)
    model.off("change:turn", answer)
  }
}

export default { render }
