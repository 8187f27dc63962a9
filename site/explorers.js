// Plays the explorers of a page from pictures that tools/draw_explorers.py made. It follows panel.js
// in one file, and is the model behind it: settings are sent, and the answer is what is drawn
// nearest. Without this script the picture and the sentence of the start stay on the page.

function drawn(folder, { spec, words }) {
  const names = Object.keys(spec.controls), pictures = new Map(), listeners = new Set()
  const lists = Object.values(spec.controls).map((its) => its.options ?? its.values)
  const state = { spec, turn: 0 }

  function load(key) {
    if (!pictures.has(key)) {
      const image = new Image()
      image.src = `${folder}/${key}.webp`
      pictures.set(key, image.decode().then(() => image))
      pictures.get(key).catch(() => pictures.delete(key)) // to be tried again
    }
    return pictures.get(key)
  }
  async function send({ settings }) {
    const places = lists.map((list, i) => nearest(list, settings[names[i]])), key = places.join("-")
    try {
      state.picture = await load(key)
      state.settings = Object.fromEntries(names.map((name, i) => [name, lists[i][places[i]]]))
      state.words = words[key]
    } catch {
      state.words = ["Not shown", "The picture did not come; is the network away?"]
    }
    state.turn += 1
    for (const listener of listeners) listener()
    for (const i of places.keys()) { // what one more key press will ask for
      for (const next of [places[i] - 1, places[i] + 1]) {
        const neighbour = places.with(i, next).join("-")
        if (neighbour in words) load(neighbour)
      }
    }
  }
  return {
    get: (name) => state[name],
    on: (_, listener) => listeners.add(listener),
    off: (_, listener) => listeners.delete(listener),
    send,
  }
}

for (const el of document.querySelectorAll(".mflib-explorer")) {
  const index = JSON.parse(el.querySelector("script").textContent)
  const model = drawn(el.dataset.folder, index)
  model.send({ settings: index.spec.start }).then(() => {
    if (!model.get("picture")) return
    el.replaceChildren()
    panel.render({ model, el })
    el.append(make("p", { className: "mflib-note" }, index.note))
  })
}
